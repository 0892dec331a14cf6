"""A picture of a map: the ortho photo beside its shaded heights with contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maquette.recon.aerial.elevation import Contour, hillshade
from maquette.recon.aerial.mapping import Map

_SIDE_PX, _GAP_PX = 900, 6
_TINTS = np.array([[0.16, 0.35, 0.30], [0.45, 0.60, 0.36], [0.86, 0.80, 0.56], [0.70, 0.45, 0.32],
                   [0.97, 0.97, 0.97]])  # fmt: skip
_LINE = (70, 45, 30)


def draw(made: Map, lines: Sequence[Contour]) -> Image.Image:
    """Two halves of at most 900 pixels a side; white where there is nothing."""
    factor = min(1.0, _SIDE_PX / max(made.heights.shape))
    size = round(made.grid.columns * factor), round(made.grid.rows * factor)
    ortho = _picture(np.nan_to_num(made.colors, nan=1.0)).resize(size, Image.Resampling.BOX)
    relief = _picture(_relief(made)).resize(size, Image.Resampling.BOX)
    pen = ImageDraw.Draw(relief)
    per_unit = factor / made.grid.size
    for contour in lines:
        x = (contour.line[:, 0] - made.grid.west) * per_unit
        y = (made.grid.north - contour.line[:, 1]) * per_unit
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=_LINE, width=1)
    sheet = Image.new("RGB", (2 * size[0] + _GAP_PX, size[1]), "white")
    sheet.paste(ortho, (0, 0))
    sheet.paste(relief, (size[0] + _GAP_PX, 0))
    return sheet


def _relief(made: Map) -> NDArray[np.float64]:
    """Heights in tints of green to white, lit from the north-west."""
    is_there = np.isfinite(made.heights)
    low, high = np.quantile(made.heights[is_there], [0.02, 0.98])
    share = np.clip((np.nan_to_num(made.heights) - low) / max(high - low, 1e-9), 0, 1)
    stops = np.linspace(0, 1, len(_TINTS))
    tint = np.stack([np.interp(share, stops, column) for column in _TINTS.T], axis=-1)
    lit = tint * (0.45 + 0.78 * hillshade(made.heights, made.grid.size))[..., None]
    lit[~is_there] = 1.0
    return lit


def _picture(colors: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.round(np.clip(colors, 0, 1) * 255).astype(np.uint8))
