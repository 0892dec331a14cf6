"""How a film wants its pixels shown: turned, mirrored, with pixels that are not square."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray
from PIL import Image

_MATRIX_BYTES = 36
_PLAUSIBLE_ASPECT = (Fraction(1, 4), Fraction(4))


def upright(pixels: NDArray[np.uint8], frame: av.VideoFrame, aspect: Fraction) -> Image.Image:
    """The pixels [H, W, 3] of a frame as they are meant to be seen.

    Args:
        aspect: Width of a pixel over its height.
    """
    image = Image.fromarray(pixels)
    if aspect != 1:
        size = max(1, round(image.width * aspect)), image.height
        image = image.resize(size, Image.Resampling.LANCZOS)
    return Image.fromarray(_turned(np.asarray(image), _matrix(frame)))


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """Width of a pixel over its height; 1 where the film says nothing or nonsense."""
    aspect = stream.sample_aspect_ratio
    low, high = _PLAUSIBLE_ASPECT
    return Fraction(aspect) if aspect and low <= aspect <= high else Fraction(1)


def _matrix(frame: av.VideoFrame) -> NDArray[np.int32]:
    """What takes stored (x, y) to shown (x, y): [2, 2], in 1/65536 (ISO/IEC 14496-12, 6.2.2)."""
    for entry in frame.side_data:
        if entry.type == Type.DISPLAYMATRIX:
            a, b, _, c, d = np.frombuffer(bytes(entry)[:_MATRIX_BYTES], "<i4")[:5]
            return np.array([[a, c], [b, d]])
    return np.eye(2, dtype=np.int32)


def _turned(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Apply the nearest of the eight turns and mirrorings that keep a rectangle."""
    (a, c), (b, d) = matrix.astype(np.int64)
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    if across < 0:
        pixels = pixels[:, ::-1]
    if down < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
