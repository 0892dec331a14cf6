"""A reference view and its source views packed for matching.

Symbols: r = (x̃, ỹ, 1) the ray of a pixel in the reference camera's frame, ν a plane: all X with
ν · X = 1, so that w = ν · r is the inverse depth of the pixel, −ν/|ν| the normal that faces the
camera, and a plane is handed to another pixel as it is. K is a calibration, R and t are
source_from_reference. The plane takes the ray to the source pixel K_s (R + t νᵀ) r, up to scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GreyView:
    """What matching needs of a view.

    Attributes:
        frame: Its camera, of the picture's size.
        image: [H, W] uint8.
        mask: [H, W] bool, True where pixels are used; None where all are.
        depth: [H, W] float32 along +z, 0 = none; of source views in the geometric pass.
    """

    frame: Frame
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None
    depth: NDArray[np.float32] | None = None

    def reduced(self, factor: int) -> GreyView:
        """The view at 1/factor of its size, without depths."""
        if factor == 1:
            return self
        height, width = self.image.shape
        size = max(1, round(width / factor)), max(1, round(height / factor))
        image = Image.fromarray(self.image).resize(size, Image.Resampling.BOX)
        mask = None
        if self.mask is not None:
            mask = np.asarray(Image.fromarray(self.mask).resize(size, Image.Resampling.NEAREST))
        frame = replace(self.frame, intrinsics=self.frame.intrinsics.scaled(*size))
        return GreyView(frame, np.asarray(image), mask)


@dataclass(frozen=True)
class Stack:
    """A reference view and V source views one after the other, in a form made for gathering.

    Attributes:
        texels: [T] int32, each of four bytes: a pixel, its right, its lower and its lower right
            neighbour, from the lowest byte on; bilinear interpolation reads one.
        used: [T] uint8, 1 where pixels are used.
        depths: [T] float32, or [1] without a geometric pass.
        layout: [1 + V, 3] int32, the reference first: where a view begins, its width and height.
        cameras: [V, 24] float32: K_s R and K_s t, then K Rᵀ K_s⁻¹ and −K Rᵀ t, rows together.
        lens: [4] float32, fl_x, fl_y, cx, cy of the reference, pixels.
    """

    texels: Tensor
    used: Tensor
    depths: Tensor
    layout: Tensor
    cameras: Tensor
    lens: Tensor

    @property
    def views(self) -> int:
        """How many source views there are."""
        return len(self.cameras)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the reference view."""
        return int(self.layout[0, 2]), int(self.layout[0, 1])

    def rays(self) -> Tensor:
        """The rays r of all pixels, [H, W, 3]."""
        height, width = self.size
        fl_x, fl_y, cx, cy = self.lens
        x = (torch.arange(width, device=self.lens.device) + 0.5 - cx) / fl_x
        y = (torch.arange(height, device=self.lens.device) + 0.5 - cy) / fl_y
        down, right = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([right, down, torch.ones_like(right)], dim=-1)


def pack(reference: GreyView, sources: Sequence[GreyView], device: torch.device) -> Stack:
    """Pack views; the sources' depths too, when all have one."""
    views = [reference, *sources]
    starts = np.cumsum([0, *(view.image.size for view in views)])
    layout = [(starts[n], *reversed(view.image.shape)) for n, view in enumerate(views)]
    depths = np.zeros(1, np.float32)
    known = [source.depth for source in sources if source.depth is not None]
    if len(known) == len(sources):
        depths = np.concatenate([np.zeros(reference.image.size, np.float32), *map(np.ravel, known)])
    texels = np.concatenate([_fours(view.image).reshape(-1) for view in views])
    cameras = np.stack([_camera(reference.frame, source.frame) for source in sources])
    lens = reference.frame.intrinsics
    return Stack(
        torch.from_numpy(texels.view(np.int32)).to(device),
        torch.from_numpy(np.concatenate([_used(view) for view in views])).to(device),
        torch.from_numpy(depths).to(device),
        torch.tensor(layout, dtype=torch.int32, device=device),
        torch.tensor(cameras, dtype=torch.float32, device=device),
        torch.tensor([lens.fl_x, lens.fl_y, lens.cx, lens.cy], device=device),
    )


def _used(view: GreyView) -> NDArray[np.uint8]:
    used = np.ones(view.image.shape, bool) if view.mask is None else view.mask
    return used.astype(np.uint8).reshape(-1)


def _fours(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Each pixel with its neighbours in one number, [H, W]; the edges repeat."""
    padded = np.pad(image, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    two = padded[:, :-1] | padded[:, 1:] << 8
    return np.asarray(two[:-1] | two[1:] << 16)


def _camera(reference: Frame, source: Frame) -> Floats:
    """Projections of one pair, see `Stack.cameras`, [24]."""
    relative = np.linalg.inv(source.world_from_cam) @ reference.world_from_cam
    rotation, shift = relative[:3, :3], relative[:3, 3]
    here, there = reference.intrinsics.matrix(), source.intrinsics.matrix()
    back = here @ rotation.T
    return np.concatenate([
        (there @ rotation).reshape(-1), there @ shift,
        (back @ np.linalg.inv(there)).reshape(-1), -back @ shift,
    ])  # fmt: skip
