"""Photos laid onto what splats have found: which photo shows a place, and in what colour.

A place counts as seen by a photo where it lies in the picture and no surface, as the splats have
it, stands before it. Of several photos the one that looks at it most steeply is the best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.median_depth import median_depth
from maquette.scene.transforms import Frame

_DEPTH_SIDE = 800  # pixels of the depth that hides: surfaces, not texture
_BEHIND = 0.01  # of its depth that a place may lie behind the surface and still be seen
_MARGIN_PX = 2.0  # at the edges of pictures, where undistorting leaves nothing
_SEAM = 0.03  # difference of scores over which photos are blended

Read = Callable[[int], NDArray[np.uint8]]
ReadMask = Callable[[int], NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Photos:
    """Photos with the depths that splats have there.

    Attributes:
        frames: With pictures of the size that `read` gives.
        read: The pixels [H, W, 3] sRGB of a photo, by number; `mask` the pixels that count.
        depths: [h, w] along z, world units; 0 = nothing.
        up: [3] world frame.
    """

    frames: Sequence[Frame]
    read: Read
    mask: ReadMask
    depths: Sequence[Tensor]
    up: Tensor

    @classmethod
    def over(
        cls, splats: Gaussians, frames: Sequence[Frame], read: Read, up: NDArray[np.float64],
        mask: ReadMask = lambda number: None,
    ) -> Photos:  # fmt: skip
        """Draw the depths of all photos."""
        depths = []
        for frame in frames:
            camera = Camera.of(frame, splats.device)
            factor = min(1.0, _DEPTH_SIDE / max(camera.width, camera.height))
            size = round(camera.width * factor), round(camera.height * factor)
            depths.append(median_depth(splats, camera.scaled(*size)).cpu())
        return cls(frames, read, mask, depths, torch.from_numpy(up).float())

    def on(self, points: Tensor, wanted: Tensor) -> Painted:
        """The colours of places.

        Args:
            points: [H, W, 3] float64, world units.
            wanted: [H, W] bool, the places that matter.
        """
        best = torch.full(wanted.shape, -torch.inf)
        views = torch.zeros(wanted.shape, dtype=torch.int32)
        scores: list[Tensor] = []
        for number in range(len(self.frames)):
            score, held = self._score(number, points, wanted)
            views += held
            best = torch.maximum(best, score)
            scores.append(score)
        total = torch.zeros(*wanted.shape, 3)
        weights = torch.zeros(wanted.shape)
        for number, score in enumerate(scores):
            weight = torch.exp((score - best) / _SEAM)
            weight[~(weight > 0.02)] = 0.0  # also where no photo sees it
            row, column = torch.nonzero(weight, as_tuple=True)
            if len(row):
                shown = self._colors(number, points[row, column])
                total[row, column] += weight[row, column, None] * shown
                weights += weight
        colors = total / weights[..., None]
        return Painted(colors.numpy(), views.numpy())

    def _score(self, number: int, points: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """How steeply a photo looks at each place, 0..1, and whether it holds it, 1 or 0.

        Steepness is -inf where the place is hidden or beside the picture.
        """
        found, held = torch.full(wanted.shape, -torch.inf), torch.zeros(wanted.shape).int()
        frame, lens = self.frames[number], self.frames[number].intrinsics
        pose = torch.from_numpy(frame.world_from_cam)
        row, column = torch.nonzero(wanted, as_tuple=True)
        away = points[row, column] - pose[:3, 3]
        x, y, z = (away @ pose[:3, :3]).float().unbind(1)
        u, v = _pixels(frame, x, y, z)
        inside = (z > 0) & (u > _MARGIN_PX) & (u < lens.width - _MARGIN_PX)
        inside &= (v > _MARGIN_PX) & (v < lens.height - _MARGIN_PX)
        held[row, column] = inside.int()
        depth = self.depths[number]
        i = (v * depth.shape[0] / lens.height).long().clamp(0, depth.shape[0] - 1)
        j = (u * depth.shape[1] / lens.width).long().clamp(0, depth.shape[1] - 1)
        surface = depth[i, j]
        inside &= (surface <= 0) | (z < surface * (1 + _BEHIND))
        mask = self.mask(number)
        if mask is not None:
            pixel = (v.long().clamp(0, lens.height - 1), u.long().clamp(0, lens.width - 1))
            inside &= torch.from_numpy(mask)[pixel]
        steep = -(away.float() @ self.up) / away.norm(dim=1).float()
        found[row, column] = torch.where(inside, steep, -torch.inf)
        return found, held

    def _colors(self, number: int, points: Tensor) -> Tensor:
        """What a photo shows of places [N, 3]; [N, 3] sRGB 0..1, between pixels by two lines."""
        frame, lens = self.frames[number], self.frames[number].intrinsics
        pose = torch.from_numpy(frame.world_from_cam)
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        u, v = _pixels(frame, *local.float().unbind(1))
        photo = torch.from_numpy(self.read(number).astype(np.float32) / 255).permute(2, 0, 1)
        places = torch.stack([2 * u / lens.width - 1, 2 * v / lens.height - 1], dim=1)
        sampled = torch.nn.functional.grid_sample(
            photo[None], places[None, None], align_corners=False, padding_mode="border"
        )
        return sampled[0, :, 0].T


@dataclass(frozen=True)
class Painted:
    """What photos show of places.

    Attributes:
        colors: [H, W, 3] sRGB 0..1; NaN where no photo sees a place.
        views: [H, W] how many have it in their picture, hidden there or not.
    """

    colors: NDArray[np.float32]
    views: NDArray[np.int32]


def _pixels(frame: Frame, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    lens, deep = frame.intrinsics, z.clamp_min(1e-9)
    return lens.fl_x * x / deep + lens.cx, lens.fl_y * y / deep + lens.cy
