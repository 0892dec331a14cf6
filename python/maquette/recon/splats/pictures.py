"""The photographs that train, at the size that the run has reached."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.splats.cameras import Camera
from maquette.recon.views.cache import ArrayCache
from maquette.recon.views.memory import cache_bytes
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class Picture:
    """A photograph and its camera.

    Attributes:
        photo: [3, H, W] float32 sRGB 0..1; `mask` [H, W] bool, the pixels that count, or None.
    """

    camera: Camera
    photo: Tensor
    mask: Tensor | None


class Pictures:
    """Photographs by number, reduced; only those of the current size are kept, up to a limit.

    Args:
        long_side: Largest size of all, pixels; None = as they are.
        limit_bytes: Memory for pixels; None = a share of what the machine has.
    """

    def __init__(
        self, scene: Scene, frames: Sequence[Frame], device: torch.device,
        long_side: int | None = None, limit_bytes: int | None = None,
    ) -> None:  # fmt: skip
        self._scene, self._frames, self.device = scene, list(frames), device
        limit = cache_bytes(torch.device("cpu")) if limit_bytes is None else limit_bytes
        self._limit = limit
        self._views = Views(scene, self._frames, long_side, limit)
        sizes = [self._views.size(index) for index in range(len(self._views))]
        self.long_side = max(max(size) for size in sizes)
        self._reached = self.long_side
        self._cameras: dict[int, Camera] = {}
        self._sent = ArrayCache(cache_bytes(device) if device.type == "cuda" else 0)

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, index: int, scale: float = 1.0) -> Picture:
        """A photograph whose sides are `scale` of the largest size.

        Raises:
            BadInput: the file is no readable image.
        """
        side = max(1, round(self.long_side * scale))
        if side != self._reached:
            self._views = Views(self._scene, self._frames, side, self._limit)
            self._reached = side
            self._cameras.clear()
            self._sent = ArrayCache(self._sent.limit_bytes)
        if index not in self._cameras:
            self._cameras[index] = Camera.of(self._views.frames[index], self.device)
        pixels = self._on_device(index, lambda: self._views.image(index))
        photo = pixels.permute(2, 0, 1).float().div_(255.0)
        mask = self._mask(index)
        used = None if mask is None else self._on_device(("mask", index), lambda: mask)
        return Picture(self._cameras[index], photo.contiguous(), used)

    def _on_device(self, key: Hashable, read: Callable[[], NDArray[Any]]) -> Tensor:
        """Pixels where training is; kept on a GPU, since to send them is to wait for it."""
        return self._sent.get(key, lambda: torch.from_numpy(read().copy()).to(self.device))

    def _mask(self, index: int) -> NDArray[np.bool_] | None:
        """The mask of a photograph, kept with its pixels; None where all are used."""
        if not self._views.has_masks:
            return None

        def read() -> NDArray[np.bool_]:
            mask = self._views.mask(index)
            return np.ones(0, np.bool_) if mask is None else mask

        mask = self._views.cache.get(("mask", index), read)
        return mask if mask.size else None

    def check_masks(self) -> None:
        """Refuse masks that leave nothing to learn from.

        Raises:
            BadInput: every photograph has a mask, and all are black.
        """
        if not self._views.has_masks:
            return
        for index in range(len(self)):
            mask = self._mask(index)
            if mask is None or mask.any():
                return
        raise BadInput(
            f"all {len(self)} masks are black: `{self._scene.masks}`",
            hint="white is what counts; turn the masks round, or remove the folder",
        )
