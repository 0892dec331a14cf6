"""Gaussians to a picture, differentiable: kernels, or their plain twin."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_blocks, over_items
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.compositing import composite
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels import blending, colors, projection
from maquette.recon.splats.kernels.tile_test import TILE
from maquette.recon.splats.projection import (
    BLUR,
    LEAST_ALPHA,
    LEAST_SHARE,
    MOST_ALPHA,
    NEAREST,
    project,
)  # fmt: skip
from maquette.recon.splats.renderings import Footprints, Rendering
from maquette.recon.splats.tiling import Pairs, bin_ellipses, gather, tile_counts

_LEAST_PASSING = 1e-4  # a tile is done when less than this passes everywhere
_LANES = 16


def render(splats: Gaussians, camera: Camera, antialias: bool = True) -> Rendering:
    """Draw Gaussians by kernels; differentiable in them and in the camera's pose.

    Args:
        antialias: Narrow Gaussians lose opacity in the share in which the pixel filter widens
            them, so that other resolutions show the same.
    """
    center = camera.center
    footprints = Footprints((camera.width, camera.height), torch.empty(0, dtype=torch.int32))
    planes: Tensor = _Rasterise.apply(  # type: ignore[no-untyped-call]
        *(tensor for _, tensor in splats.tensors()), camera.rotation, camera.translation, center,
        replace(camera, rotation=camera.rotation.detach(), translation=camera.translation.detach()),
        antialias, footprints,
    )  # fmt: skip
    return Rendering(planes[:3], planes[3], planes[4], footprints)


def render_reference(splats: Gaussians, camera: Camera, antialias: bool = True) -> Rendering:
    """The same in plain PyTorch, for few Gaussians and small pictures."""
    planes = composite(project(splats, camera, antialias), camera)
    return Rendering(planes[:3], planes[3], planes[4])


def ellipses_of(splats: Gaussians, camera: Camera) -> tuple[Tensor, Pairs]:
    """Gaussians as ellipses [N, 16] of a picture, without colours, and which tiles blend which."""
    plan = _Plan(camera.width, camera.height, _lens(camera, splats.device), True)
    pose = torch.cat([camera.rotation.reshape(-1), camera.translation])
    shape = (splats.means, splats.log_scales, splats.quaternions, splats.opacity_logits)
    records, touched = _project(plan, pose, *shape)
    return records, bin_ellipses((plan.width, plan.height), records, touched)


@dataclass
class _Plan:
    """Sizes, and what forward hands to backward."""

    width: int
    height: int
    lens: Tensor
    antialias: bool
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tiles(self) -> tuple[int, int]:
        return tile_counts(self.width, self.height)

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width, filled up to whole tiles."""
        columns, rows = self.tiles
        return rows * TILE, columns * TILE


@functools.lru_cache(maxsize=4096)
def _numbers(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers of a lens on a device, sent once: each copy to a GPU waits for what it is doing."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def _lens(camera: Camera, device: torch.device) -> Tensor:
    """What the kernels know of a lens, [9]: the last is 1 where rays are parallel."""
    parallel = float(camera.is_orthographic)
    return _numbers((*camera.focal, *camera.principal, *camera.slopes, parallel), device)


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, log_scales: Tensor, quaternions: Tensor, logits: Tensor,
        sh: Tensor, rotation: Tensor, translation: Tensor, center: Tensor, camera: Camera,
        antialias: bool, footprints: Footprints,
    ) -> Tensor:  # fmt: skip
        lens = _lens(camera, means.device)
        plan = _Plan(camera.width, camera.height, lens, antialias)
        pose = torch.cat([rotation.reshape(-1), translation])
        shape = (means, log_scales, quaternions, logits)
        records, touched = _project(plan, pose, *shape)
        _color(center, means, sh, touched, records)
        pairs = bin_ellipses((plan.width, plan.height), records, touched)
        planes, last = _blend(plan, records, pairs)
        ctx.plan, ctx.footprints, ctx.pairs = plan, footprints, pairs
        ctx.save_for_backward(*shape, sh, pose, center, records, touched, planes, last)
        footprints.touched = touched
        return planes[:, : plan.height, : plan.width]

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        plan: _Plan = ctx.plan
        *shape, sh, pose, center, records, touched, planes, last = ctx.saved_tensors
        footprints: Footprints = ctx.footprints
        sums = _blend_backward(plan, records, ctx.pairs, planes, last, given, footprints.score)
        sums = gather(ctx.pairs, touched, sums)
        footprints.sums = sums
        means = shape[0]
        d_sh, d_means = torch.zeros_like(sh), torch.zeros_like(means)
        _run_rows(
            colors.color_backward, means,
            [sh.shape[1], array(center), _flat(means), _flat(sh), _flat(touched, wp.int32),
             _flat(records), _flat(sums), _flat(d_sh), _flat(d_means)],
        )  # fmt: skip
        with_pose = any(ctx.needs_input_grad[5:8])
        d_center = -d_means.sum(0) if with_pose else None
        rest, d_pose = _project_backward(plan, pose, shape, touched, sums, d_means, with_pose)
        d_rotation = d_pose[:9].view(3, 3) if with_pose else None
        d_translation = d_pose[9:] if with_pose else None
        return (*rest, d_sh, d_rotation, d_translation, d_center, None, None, None)


def _project(
    plan: _Plan, pose: Tensor, means: Tensor, scales: Tensor, quaternions: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor]:
    count = len(means)
    records = torch.empty(count, projection.WIDTH, device=means.device)
    touched = torch.empty(count, dtype=torch.int32, device=means.device)
    _run_rows(
        projection.project, means,
        [plan.width, plan.height, int(plan.antialias), NEAREST, BLUR, LEAST_SHARE, array(pose),
         array(plan.lens), _flat(means), _flat(scales), _flat(quaternions), _flat(logits),
         _flat(records), array(touched, wp.int32)],
    )  # fmt: skip
    return records, touched


def _color(center: Tensor, means: Tensor, sh: Tensor, touched: Tensor, records: Tensor) -> None:
    _run_rows(
        colors.color, means,
        [sh.shape[1], array(center), _flat(means), _flat(sh), _flat(touched, wp.int32),
         _flat(records)],
    )  # fmt: skip


def _blend(plan: _Plan, records: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    columns, rows = plan.tiles
    planes = torch.empty(5, *plan.padded, device=records.device)
    last = torch.zeros(columns * rows, blending.LASTS, dtype=torch.int32, device=records.device)
    over_blocks(
        blending.blend, columns * rows, blending.THREADS, records.device,
        [plan.width, plan.height, LEAST_ALPHA, MOST_ALPHA, _LEAST_PASSING, _flat(records),
         array(pairs.ranges, wp.int32), array(pairs.owners, wp.int32), _flat(last, wp.int32),
         _flat(planes)],
    )  # fmt: skip
    return planes, last


def _blend_backward(
    plan: _Plan, records: Tensor, pairs: Pairs, planes: Tensor, last: Tensor, given: Tensor,
    score: Tensor | None,
) -> Tensor:  # fmt: skip
    columns, rows = plan.tiles
    whole = torch.zeros(6, *plan.padded, device=records.device)
    whole[:5, : plan.height, : plan.width] = given
    if score is not None:
        whole[5, : plan.height, : plan.width] = score
    parts = torch.zeros(len(pairs.owners), projection.SUMS, device=records.device)
    over_blocks(
        blending.blend_backward, columns * rows, blending.THREADS, records.device,
        [plan.width, plan.height, LEAST_ALPHA, MOST_ALPHA, _flat(records),
         array(pairs.ranges, wp.int32), array(pairs.owners, wp.int32),
         array(pairs.slots, wp.int32), _flat(last, wp.int32), _flat(planes), _flat(whole),
         _flat(parts)],
    )  # fmt: skip
    return parts


def _project_backward(
    plan: _Plan, pose: Tensor, shape: list[Tensor], touched: Tensor, sums: Tensor,
    d_means: Tensor, with_pose: bool,
) -> tuple[list[Tensor], Tensor]:  # fmt: skip
    """Gradients of means, scales, quaternions and logits, and of the pose."""
    means = shape[0]
    found = [d_means, *(torch.zeros_like(tensor) for tensor in shape[1:])]
    d_pose = torch.zeros(len(means) if with_pose else 1, 12, device=means.device)
    _run_rows(
        projection.project_backward, means,
        [int(plan.antialias), int(with_pose), NEAREST, BLUR, LEAST_SHARE, array(pose),
         array(plan.lens), *(_flat(tensor) for tensor in shape), array(touched, wp.int32),
         _flat(sums), *(_flat(tensor) for tensor in found), _flat(d_pose)],
    )  # fmt: skip
    return found, d_pose.sum(0)


def _run_rows(kernel: Any, means: Tensor, arguments: list[Any]) -> None:
    """Run a kernel that has 16 Gaussians at a time on a CPU, one on a GPU."""
    count, device = len(means), means.device
    rows = count if device.type == "cuda" else -(-count // _LANES)
    over_items(kernel, rows, device, [count, *arguments])


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.view(-1), kind)
