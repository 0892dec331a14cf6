"""Depth maps as pictures: near is bright, nothing is grey."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NOTHING = 128  # grey of pixels without depth
_RANGE = (1, 99)  # percentiles of inverse depth that take the map's ends
_GAP_PX = 4
# from far to near, each lighter than the one before
_RAMP = np.array([(8, 8, 32), (72, 20, 104), (160, 48, 92), (232, 112, 44), (252, 244, 176)])


def colored(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A depth map [H, W], 0 = nothing, as [H, W, 3] sRGB by its inverse depths."""
    picture = np.full((*depth.shape, 3), NOTHING, np.uint8)
    known = depth > 0
    if known.any():
        inverse = 1.0 / depth[known].astype(np.float64)
        least, most = np.percentile(inverse, _RANGE)
        share = (inverse - least) / max(most - least, 1e-12 * most)
        stops = np.linspace(0, 1, len(_RAMP))
        for channel, values in enumerate(_RAMP.T):
            picture[known, channel] = np.rint(np.interp(share, stops, values))
    return picture


def sheet(
    photos: Sequence[NDArray[np.uint8]], depths: Sequence[NDArray[np.float32]], width: int = 360
) -> Image.Image:
    """Photos [H, W, 3], each with its depth map below, side by side in rows of four.

    Args:
        width: Of each picture, pixels; a row is as high as the first one is in proportion.
    """
    height = max(1, round(width * depths[0].shape[0] / depths[0].shape[1]))
    columns = min(4, len(depths))
    rows = 2 * -(-len(depths) // columns)
    size = (columns * (width + _GAP_PX) + _GAP_PX, rows * (height + _GAP_PX) + _GAP_PX)
    result = Image.new("RGB", size, "white")
    for number, (photo, depth) in enumerate(zip(photos, depths, strict=True)):
        row, column = divmod(number, columns)
        for below, picture in enumerate((photo, colored(depth))):
            how = Image.Resampling.NEAREST if below else Image.Resampling.LANCZOS
            tile = Image.fromarray(picture)
            tile.thumbnail((width, height), how)
            if tile.width < width and tile.height < height:
                tile = tile.resize((width, height), how)
            place = [_GAP_PX + column * (width + _GAP_PX),
                     _GAP_PX + (2 * row + below) * (height + _GAP_PX)]  # fmt: skip
            result.paste(tile, (place[0], place[1]))
    return result
