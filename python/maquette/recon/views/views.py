"""The photographs of some frames, read when they are asked for."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.views.cache import ArrayCache
from maquette.recon.views.images import (
    camera_size,
    has_same_shape,
    image_size,
    mask_paths,
    read_image,
    read_mask,
    reduced,
)
from maquette.recon.views.memory import cache_bytes
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_SHAPE = 0.03  # relative


class Views:
    """Photographs, cameras and masks by number, 0 to len - 1.

    Args:
        scene: Where the photographs lie; black pixels of their masks are not used.
        long_side: Larger photographs are reduced to this, in pixels; None = as they are.
        limit_bytes: Memory for pixels that may be asked for again; None = a share of what the
            machine has.
        needed: The views whose photographs have to be there; None = all. Another that is not
            there counts as large as its camera.

    Attributes:
        frames: Each with its camera scaled to the photograph's real size.
        cache: What is kept of the pixels.

    Raises:
        BadInput: a file is no image, or has another shape than its camera tells.
    """

    def __init__(
        self, scene: Scene, frames: Sequence[Frame], long_side: int | None = None,
        limit_bytes: int | None = None, needed: Container[int] | None = None,
    ) -> None:  # fmt: skip
        self._scene, self._long_side = scene, long_side
        sizes = [
            reduced(camera_size(frame), long_side)
            if needed is not None and number not in needed and _lacks(scene, frame)
            else image_size(scene, frame, long_side)
            for number, frame in enumerate(frames)
        ]
        for frame, size in zip(frames, sizes, strict=True):
            _check_shape(frame, size)
        self.frames = [
            replace(frame, intrinsics=frame.intrinsics.scaled(*size))
            for frame, size in zip(frames, sizes, strict=True)
        ]
        self._masks = mask_paths(scene, frames)
        limit = cache_bytes(torch.device("cpu")) if limit_bytes is None else limit_bytes
        self.cache = ArrayCache(limit)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def has_masks(self) -> bool:
        """Whether any view has a mask."""
        return any(path is not None for path in self._masks)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of a view, pixels."""
        lens = self.frames[index].intrinsics
        return lens.width, lens.height

    def image(self, index: int) -> NDArray[np.uint8]:
        """A view's photograph, [H, W, 3] uint8 sRGB; to be read only.

        Raises:
            BadInput: the file is no readable image.
        """
        return self.cache.get(index, lambda: self.read_image(index))

    def read_image(self, index: int) -> NDArray[np.uint8]:
        """The same for pixels that are needed once: they are not kept."""
        return read_image(self._scene, self.frames[index], self._long_side)

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Which pixels of a view are used, [H, W]; None where all are.

        Raises:
            BadInput: the file is no readable image.
        """
        path = self._masks[index]
        return None if path is None else read_mask(path, self.size(index))


def _lacks(scene: Scene, frame: Frame) -> bool:
    return not (scene.root / frame.file_path).is_file()


def _check_shape(frame: Frame, size: tuple[int, int]) -> None:
    """Refuse a photograph that was turned or cut after its camera was found.

    Raises:
        BadInput: it was.
    """
    lens = frame.intrinsics
    if not has_same_shape(size, (lens.width, lens.height), _SHAPE):
        raise BadInput(
            f"`{frame.file_path}` of {size[0]} × {size[1]} pixels has another shape than its "
            f"camera, {lens.width} × {lens.height}",
            hint="put the photo back as it was, or run `make prepare` again",
        )
