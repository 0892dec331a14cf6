"""Pixels to rays in unit space, and rays against the unit sphere.

Frames and axes as in CONVENTIONS.md. Symbols: o origin, d unit direction, t distance along d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maquette.scene.region import Region
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class Rays:
    """A batch of rays in unit space.

    Attributes:
        origins: [R, 3] float32.
        directions: [R, 3] float32, unit length.
        cosines: [R] float32, direction · camera z axis: turns distance into depth.
    """

    origins: Tensor
    directions: Tensor
    cosines: Tensor

    def at(self, chosen: Tensor) -> Rays:
        """Some of them: [N] int64 or bool [R]."""
        return Rays(self.origins[chosen], self.directions[chosen], self.cosines[chosen])


@dataclass(frozen=True)
class Cameras:
    """All cameras of a scene as tensors, poses in unit space.

    Attributes:
        rotations: [F, 3, 3] float32, world_from_cam axes.
        centers: [F, 3] float32, camera centres in unit space.
        focals: [F, 2] float32, pixels.
        principals: [F, 2] float32, pixels, pixel centres at +0.5.
    """

    rotations: Tensor
    centers: Tensor
    focals: Tensor
    principals: Tensor

    @classmethod
    def of(cls, frames: Sequence[Frame], region: Region, device: torch.device) -> Cameras:
        """Stack frames and move their centres to unit space."""
        poses = np.stack([frame.world_from_cam for frame in frames])
        lenses = [frame.intrinsics for frame in frames]

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float32), device=device)

        return cls(
            rotations=tensor(poses[:, :3, :3]),
            centers=tensor(region.unit_from_world(poses[:, :3, 3])),
            focals=tensor([(lens.fl_x, lens.fl_y) for lens in lenses]),
            principals=tensor([(lens.cx, lens.cy) for lens in lenses]),
        )

    def rays(self, frame: Tensor, pixels: Tensor) -> Rays:
        """Cast one ray a pixel.

        Args:
            frame: [R] int64, which camera.
            pixels: [R, 2] float32 (x, y), pixel centres at +0.5.
        """
        plane = (pixels - self.principals[frame]) / self.focals[frame]  # [R, 2]
        local = torch.nn.functional.pad(plane, (0, 1), value=1.0)  # [R, 3]
        cosines = 1.0 / local.norm(dim=-1)
        directions = (self.rotations[frame] @ (local * cosines[:, None])[..., None])[..., 0]
        return Rays(self.centers[frame], directions, cosines)


def pixel_centers(width: int, height: int, device: torch.device) -> Tensor:
    """All pixel centres of an image, row by row; [H·W, 2] float32 (x, y)."""
    x = torch.arange(width, device=device) + 0.5
    y = torch.arange(height, device=device) + 0.5
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def sphere_span(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays are inside the unit ball.

    Returns:
        near, far: [R] float32 distances, 0 <= near <= far; equal where the ball is missed.
    """
    middle = -(origins * directions).sum(-1)  # [R] nearest approach
    nearest = (origins + middle[:, None] * directions).square().sum(-1)
    half = (1.0 - nearest).clamp(min=0.0).sqrt()
    far = (middle + half).clamp(min=0.0)
    near = (middle - half).clamp(min=0.0)
    return torch.minimum(near, far), far
