"""Where depth maps agree, pixel by pixel; frames as in CONVENTIONS.md.

The plain twins of `kernels/agreement.py`, which is used, are here.

Sources: the tests of agreement are COLMAP's (J. Schönberger et al., ECCV 2016, section 5); clusters
of one reference pixel and the pixels that agree with it as in ACMM (Q. Xu and W. Tao, CVPR 2019),
section 5, but each gives the median of its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.mvs.kernels import agreement as kernels
from maquette.recon.mvs.patch_match import DepthMap
from maquette.scene.transforms import Frame

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Agreement:
    """When two depth maps agree, and what is kept.

    Wider than COLMAP's (1 px, 10 degrees, speckles of 100), as normals of single pixels are noisy:
    with all three of its limits the sample keeps 62 % of its pixels in place of 86 %, and misses
    0.62 % of the radius of its true surface in place of 0.24 %.

    Attributes:
        reprojection_px: Largest distance after the way to the other view and back.
        depth: Largest relative difference of depths.
        normal_deg: Largest angle between normals.
        views: How many source views must agree with a pixel.
        speckle_px: Connected regions smaller than this go.
    """

    reprojection_px: float = 1.5
    depth: float = 0.01
    normal_deg: float = 30.0
    views: int = 2
    speckle_px: int = 50


@dataclass(frozen=True)
class MapStack:
    """A view's depth map and those of its V source views, one after the other.

    Attributes:
        depth: [T] float32 along +z, 0 = none; `normals` [T, 3] float32, camera axes.
        layout: [1 + V, 3] int32, the reference first: where a view begins, its width and height.
        lenses: [1 + V, 4] float32, fl_x, fl_y, cx, cy, pixels.
        poses: [V, 12] float32, source_from_reference, three rows of four.
        world: [1 + V, 12] float32, world_from_cam in the same form.
    """

    depth: Tensor
    normals: Tensor
    layout: Tensor
    lenses: Tensor
    poses: Tensor
    world: Tensor

    @classmethod
    def of(
        cls, found: DepthMap, frame: Frame, sources: Sequence[tuple[DepthMap, Frame]],
        device: torch.device | None = None,
    ) -> MapStack:  # fmt: skip
        """Put maps together; each frame is of its map's size."""
        device = device or torch.device("cpu")
        maps, frames = [found, *(m for m, _ in sources)], [frame, *(f for _, f in sources)]
        starts = np.cumsum([0, *(each.depth.size for each in maps)])
        layout = [(start, *m.depth.shape[::-1]) for start, m in zip(starts, maps, strict=False)]
        depth = np.concatenate([each.depth.reshape(-1) for each in maps])
        normals = np.concatenate([each.normals.reshape(-1, 3) for each in maps])
        poses = [np.linalg.inv(f.world_from_cam) @ frame.world_from_cam for f in frames[1:]]
        rows = np.array([pose[:3].reshape(-1) for pose in poses]).reshape(-1, 12)
        return cls(
            torch.from_numpy(depth).to(device),
            torch.from_numpy(normals).to(device),
            torch.tensor(layout, dtype=torch.int32, device=device),
            torch.tensor([_lens(f) for f in frames], dtype=torch.float32, device=device),
            torch.tensor(rows, dtype=torch.float32, device=device),
            torch.tensor(
                np.array([f.world_from_cam[:3].reshape(-1) for f in frames]),
                dtype=torch.float32, device=device,
            ),
        )  # fmt: skip

    @property
    def views(self) -> int:
        """How many source views there are."""
        return len(self.poses)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the reference map."""
        return int(self.layout[0, 2]), int(self.layout[0, 1])


def compare(stack: MapStack, agreement: Agreement, fast: bool = True) -> Tensor:
    """The pixel of each source view that agrees with each pixel of the reference.

    Returns:
        [V, H·W] int32, numbers y · width + x in that view; −1 where none agrees.
    """
    if fast:
        return kernels.compare(stack, agreement)
    return torch.stack([_compare(stack, view, agreement) for view in range(stack.views)])


def medians(
    stack: MapStack, colors: Tensor, at: Tensor, pixels: Tensor, fast: bool = True
) -> Tensor:
    """Medians of world points, world normals and colours of pixels and those that agree with them.

    Args:
        colors: [T, 3] uint8, in the stack's order.
        at: [V, H·W] int32 as `compare` gives it; −1 excludes a view.
        pixels: [N] int32, numbers of the reference's pixels.

    Returns:
        [N, 9] float32; the normals are not of length 1.
    """
    if fast:
        return kernels.medians(stack, colors, at, pixels)
    members, present = [], []
    for view in range(-1, stack.views):
        there = pixels.long() if view < 0 else at[view, pixels.long()].long()
        members.append(_members(stack, view + 1, there.clamp(min=0), colors))
        present.append(there >= 0)
    return _median(torch.stack(members), torch.stack(present))


def _compare(stack: MapStack, view: int, agreement: Agreement) -> Tensor:
    height, width = stack.size
    here, there = stack.lenses[0].double(), stack.lenses[view + 1].double()
    pose = stack.poses[view].double().reshape(3, 4)
    start, across, along = stack.layout[view + 1].tolist()
    n = torch.arange(height * width, device=stack.depth.device)
    x, y = (n % width).double() + 0.5, (n // width).double() + 0.5
    depth, normals = stack.depth[: height * width], stack.normals[: height * width].double()
    points = depth[:, None] * _rays(here, x, y)
    u, v, expected = _project(there, points @ pose[:, :3].T + pose[:, 3])
    inside = (u >= 0) & (v >= 0) & (u < across) & (v < along)
    at = torch.where(inside, v.long() * across + u.long(), 0)
    seen = stack.depth[start + at].double()
    agrees = inside & (depth > 0) & (seen > 0)
    agrees &= (seen - expected).abs() <= agreement.depth * seen
    # the place in the other map's plane at the very spot, not at its pixel's centre
    back = (seen[:, None] * _rays(there, u, v) - pose[:, 3]) @ pose[:, :3]
    back_x, back_y, _ = _project(here, back)
    agrees &= torch.hypot(back_x - x, back_y - y) <= agreement.reprojection_px
    turned = stack.normals[start + at].double() @ pose[:, :3]
    agrees &= (turned * normals).sum(1) >= np.cos(np.radians(agreement.normal_deg))
    return torch.where(agrees, at, -1).int()


def _members(stack: MapStack, view: int, at: Tensor, colors: Tensor) -> Tensor:
    """World points, world normals and colours of a view's pixels [N], [N, 9]."""
    start, width, _ = stack.layout[view].tolist()
    world = stack.world[view].reshape(3, 4)
    rays = _rays(stack.lenses[view], at % width + 0.5, at // width + 0.5)
    points = stack.depth[start + at, None] * rays @ world[:, :3].T + world[:, 3]
    normals = stack.normals[start + at] @ world[:, :3].T
    return torch.cat([points, normals, colors[start + at].float()], dim=1)


def _median(values: Tensor, present: Tensor) -> Tensor:
    """Medians [N, C] of the present ones [M, N] of values [M, N, C]; one is present at least."""
    ordered = values.where(present[..., None], torch.inf).sort(dim=0).values
    count = present.sum(0)
    column = torch.arange(values.shape[1], device=values.device)
    return 0.5 * (ordered[(count - 1) // 2, column] + ordered[count // 2, column])


def _rays(lens: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Rays [N, 3] with z = 1 through places [N] in pixels, camera axes."""
    return torch.stack([(x - lens[2]) / lens[0], (y - lens[3]) / lens[1], torch.ones_like(x)], 1)


def _project(lens: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Places x, y in pixels and depths of points [N, 3] in the camera's axes, each [N]."""
    z = points[:, 2]
    x = lens[0] * points[:, 0] / z + lens[2]
    y = lens[1] * points[:, 1] / z + lens[3]
    return torch.where(z > 0, x, -1.0), torch.where(z > 0, y, -1.0), z


def _lens(frame: Frame) -> tuple[float, float, float, float]:
    lens = frame.intrinsics
    return lens.fl_x, lens.fl_y, lens.cx, lens.cy
