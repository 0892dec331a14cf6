"""Pictures of more than 8 bits a channel: one brightness for a whole set, never for each alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[Any]


@dataclass(frozen=True)
class Depth:
    """The brightest value of a deep picture, and whether its values are floats."""

    peak: float
    is_float: bool


@dataclass(frozen=True)
class White:
    """The values that become 255, of integers and of floats."""

    integers: float = 255.0
    floats: float = 1.0

    @classmethod
    def of(cls, depths: Iterable[Depth | None]) -> White:
        """White of a set: the highest value of the bits in use; of floats the brightest one."""
        deep = [depth for depth in depths if depth is not None]
        whole = max((depth.peak for depth in deep if not depth.is_float), default=0.0)
        real = max((depth.peak for depth in deep if depth.is_float), default=0.0)
        bits = max(8, int(whole).bit_length())
        return cls(float(2**bits - 1), real if real > 1.0 or 0 < real < 0.5 else 1.0)


def values(path: Path, image: Image.Image) -> Values | None:
    """Values of a picture of more than 8 bits, [H, W] or [H, W, 3]; None for any other.

    Alpha is left out. The picture must just have been opened: loading it forgets the depth.

    Raises:
        OSError: it can not be decoded.
    """
    if image.mode.startswith(("I", "F")):
        return np.asarray(image)
    tiles = getattr(image, "tile", None)
    if not tiles or "16" not in str(tiles[0][3]):
        return None
    try:
        with av.open(str(path)) as container:  # Pillow keeps the upper 8 bits of colours only
            return next(container.decode(video=0)).to_ndarray(format="rgb48le")
    except (av.FFmpegError, StopIteration) as error:
        raise OSError(f"can not decode its 16 bits: {error}") from error


def depth_of(found: Values) -> Depth:
    """What `White.of` asks of a deep picture; values that are no numbers do not count."""
    is_float = found.dtype.kind == "f"
    finite = found[np.isfinite(found)] if is_float else found
    return Depth(float(finite.max(initial=0)), is_float)


def to_rgb(found: Values, white: White | None = None) -> Image.Image:
    """A deep picture as RGB of 8 bits, by the white of its set, or its own without one."""
    white = white or White.of([depth_of(found)])
    full = white.floats if found.dtype.kind == "f" else white.integers
    scaled = np.nan_to_num(found.astype(np.float32)) * np.float32(255.0 / full)
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8)).convert("RGB")
