"""Pictures made small for the gallery: covers, photos, and depth maps in colours."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from maquette.errors import BadInput

_TILE_PX, _GAP_PX = 380, 4  # of a contact sheet
_COVER_PX = 560
_THUMBNAIL_PX = 240
_DEPTH_PX = 480
_FAILURES = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def cover(path: Path) -> bytes:
    """A JPEG of the first view of a contact sheet, or of a photo.

    Raises:
        BadInput: it is no picture.
    """
    with _opened(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
        if path.name.endswith("_views.png") and min(picture.size) > _TILE_PX:
            end = _GAP_PX + _TILE_PX
            picture = picture.crop((_GAP_PX, _GAP_PX, end, end))
        picture.thumbnail((_COVER_PX, _COVER_PX), Image.Resampling.LANCZOS)
        return _jpeg(picture)


def thumbnail(path: Path) -> bytes:
    """A small JPEG of a photo.

    Raises:
        BadInput: it is no picture.
    """
    with _opened(path) as opened:
        opened.draft("RGB", (_THUMBNAIL_PX, _THUMBNAIL_PX))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
        return _jpeg(picture)


def depth_picture(path: Path) -> bytes:
    """A JPEG of a depth map in COLMAP's form: near is light, far is dark, no data is grey.

    Raises:
        BadInput: it is damaged.
    """
    depth = _read_array(path)
    depth = depth[:: max(1, depth.shape[0] // _DEPTH_PX), :: max(1, depth.shape[1] // _DEPTH_PX)]
    known = np.isfinite(depth) & (depth > 0)
    picture = np.full((*depth.shape, 3), 128, np.uint8)
    if known.any():
        near, far = np.percentile(depth[known], [2, 98])
        share = np.clip((depth[known] - near) / max(float(far - near), 1e-9), 0, 1)
        picture[known] = _colors(1 - share)
    return _jpeg(Image.fromarray(picture))


def _colors(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Dark blue over teal to light yellow, of even steps in brightness; share [N] in 0..1."""
    places = np.linspace(0, 1, 5)
    stops = np.array(
        [[24, 20, 58], [36, 84, 134], [36, 150, 148], [140, 205, 128], [250, 244, 180]]
    )
    channels = [np.interp(share, places, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.uint8)


def _read_array(path: Path) -> NDArray[np.float32]:
    """A single-channel array of COLMAP: `width&height&1&`, then float32 by rows."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            width, height, channels = (int(word) for word in head.split(b"&")[:3])
            start = len(b"&".join(head.split(b"&")[:3])) + 1
            if channels != 1 or not 0 < width * height < 1 << 30:
                raise ValueError(f"{width} × {height} × {channels}")
            file.seek(start)
            values = np.fromfile(file, "<f4", width * height)
        return values.reshape(height, width)
    except (OSError, ValueError) as error:
        raise BadInput(f"`{path.name}` is no depth map: {error}") from error


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except _FAILURES as error:
        raise BadInput(f"`{path.name}` is no picture that can be read") from error


def _jpeg(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return content.getvalue()
