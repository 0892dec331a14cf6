"""One photograph and its mask, from their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from maquette.errors import BadInput
from maquette.scene import masks
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

Size = tuple[int, int]
_MASK_SHAPE = 0.1  # relative; taking distortion out changes a photo's shape a little


def read_image(
    scene: Scene, frame: Frame, long_side: int | None = None, scale: float = 1.0
) -> NDArray[np.uint8]:
    """Read a photograph as [H, W, 3] uint8 sRGB, reduced when asked.

    Args:
        long_side: Larger photographs are reduced to this; None = as they are.
        scale: Factor on both sides, at most 1; the smaller of the two results counts.

    Raises:
        BadInput: the file is no readable image.
    """
    with _opened(scene, frame) as opened:
        image = opened.convert("RGB")
    size = reduced(image.size, long_side, scale)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BOX)
    return np.asarray(image)


def image_size(scene: Scene, frame: Frame, long_side: int | None = None) -> Size:
    """Width and height that `read_image` will give, without reading the pixels.

    Raises:
        BadInput: the file is no image.
    """
    with _opened(scene, frame) as opened:
        return reduced(opened.size, long_side)


def camera_size(frame: Frame) -> Size:
    """Width and height that a frame's camera tells."""
    return frame.intrinsics.width, frame.intrinsics.height


def reduced(size: Size, long_side: int | None, scale: float = 1.0) -> Size:
    """Width and height after reduction; see `read_image`."""
    if long_side:
        scale = min(scale, long_side / max(size))
    if scale >= 1.0:
        return size
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def has_same_shape(one: Size, other: Size, tolerance: float) -> bool:
    """Whether two pictures have the same proportions, but for rounding of their sizes."""
    rounding = 1 / min(*one, *other)
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= tolerance + rounding


def mask_paths(scene: Scene, frames: Sequence[Frame]) -> list[Path | None]:
    """The file of each frame's mask; None where all of its pixels are used.

    Raises:
        BadInput: there are masks, but none belongs to a picture.
    """
    names = [Path(frame.file_path).name for frame in frames]
    found = masks.straight(scene, names)
    return [found.get(name) for name in names]


def mask_reader(
    scene: Scene, frames: Sequence[Frame], long_side: int
) -> Callable[[int], NDArray[np.bool_] | None]:
    """A function from a frame's number to its mask, reduced to a long side; None without one."""
    paths = mask_paths(scene, frames)

    def read(number: int) -> NDArray[np.bool_] | None:
        lens = frames[number].intrinsics
        path = paths[number]
        return (
            None if path is None else read_mask(path, reduced((lens.width, lens.height), long_side))
        )

    return read


def read_mask(path: Path, size: Size) -> NDArray[np.bool_]:
    """Read a mask at a width and height, as [H, W] bool: True where pixels are used.

    Raises:
        BadInput: the file is no readable image.
    """
    try:
        with Image.open(path) as opened:
            given = opened.size
            mask = opened.convert("L").resize(size, Image.Resampling.NEAREST)
    except OSError as error:
        raise BadInput(
            f"can not read the mask `masks/{path.name}`: {_reason(error)}",
            hint="make it again, black where nothing counts, or remove it",
        ) from error
    if not has_same_shape(given, size, _MASK_SHAPE):
        raise BadInput(
            f"the mask `masks/{path.name}` of {given[0]} × {given[1]} pixels has another shape "
            f"than its photo, {size[0]} × {size[1]}",
            hint="make it of the photo as it lies in `images/`, not turned or cut",
        )
    kept: NDArray[np.bool_] = np.asarray(mask) >= 128
    return kept


@contextmanager
def _opened(scene: Scene, frame: Frame) -> Iterator[Image.Image]:
    try:
        with Image.open(scene.root / frame.file_path) as opened:
            yield opened
    except OSError as error:
        raise BadInput(
            f"can not read the image `{frame.file_path}`: {_reason(error)}",
            hint=f"put it back, or make all again: `make prepare MODEL={scene.name} "
            "FORCE_STAGE=undistort`",
        ) from error


def _reason(error: OSError) -> str:
    """Why a file is no picture, without the path, which says where another person keeps it."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture"
    return error.strerror.lower() if error.strerror else str(error)
