"""360° panoramas (equirectangular pictures): how they are known, and cut into usual views."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VIEWS = 8  # around the horizon, each half over the next
_FIELD_DEG = 90.0
_MAX_SIDE_PX = 1600
_RATIO_ERROR = 0.01
# In a picture of 256 × 128: the ends differ at most so many times as much as neighbours do, and
# the poles, each a point drawn over the whole width, vary at most by this share of the middle.
_SEAM, _POLES = 2.2, 0.3
_MARK = b"equirectangular"


def is_panorama(image: Image.Image) -> bool:
    """Whether a picture goes all around: twice as wide as high, and its ends meet.

    Where the maker's XMP data say so (GPano:ProjectionType), that is enough.
    """
    if abs(image.width / image.height / 2 - 1) > _RATIO_ERROR:
        return False
    if _MARK in bytes(image.info.get("xmp", b"")):
        return True
    small = np.asarray(image.convert("L").resize((256, 128), Image.Resampling.BOX), np.float64)
    changes = np.abs(np.diff(small, axis=1)).mean(axis=1)  # along each row
    beside = changes[16:112].mean()
    seam = np.abs(small[16:112, 0] - small[16:112, -1]).mean()
    pole = max(changes[:2].mean(), changes[-2:].mean())
    return bool(seam < _SEAM * beside and pole < _POLES * beside)


def views(image: Image.Image) -> Iterator[Image.Image]:
    """Usual views of 90° around the horizon."""
    panorama = np.asarray(image.convert("RGB"))
    for number in range(VIEWS):
        yaw = 2 * math.pi * number / VIEWS
        yield Image.fromarray(_view(panorama, side(image.height), yaw))


def side(height: int) -> int:
    """Pixels of a view's side, as fine as the panorama of this height at its horizon."""
    return min(_MAX_SIDE_PX, round(height * _FIELD_DEG / 180))


def camera(side_px: int) -> tuple[str, str]:
    """COLMAP's model and parameters of a view of so many pixels: known, for we made it."""
    focal = side_px / 2 / math.tan(math.radians(_FIELD_DEG / 2))
    return "SIMPLE_PINHOLE", f"{focal:.6g},{side_px / 2:g},{side_px / 2:g}"


def _view(panorama: NDArray[np.uint8], size: int, yaw: float) -> NDArray[np.uint8]:
    """A perspective view [size, size, 3] that looks along `yaw`, radians; bilinear."""
    focal = size / 2 / math.tan(math.radians(_FIELD_DEG / 2))
    across = (np.arange(size) + 0.5 - size / 2) / focal
    x, y = np.meshgrid(across, across)
    longitude = yaw + np.arctan(x)
    latitude = np.arctan2(y, np.hypot(x, 1.0))
    height, width = panorama.shape[:2]
    columns = longitude / (2 * math.pi) * width + width / 2 - 0.5
    rows = np.clip(latitude / math.pi * height + height / 2 - 0.5, 0, height - 1)
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    right, bottom = (left + 1) % width, np.minimum(top + 1, height - 1)
    share_x, share_y = (columns - left)[..., None], (rows - top)[..., None]
    left %= width
    upper = panorama[top, left] * (1 - share_x) + panorama[top, right] * share_x
    lower = panorama[bottom, left] * (1 - share_x) + panorama[bottom, right] * share_x
    found: NDArray[np.uint8] = (upper * (1 - share_y) + lower * share_y).round().astype(np.uint8)
    return found
