"""The kernels of plane sweeps beside their twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from maquette.recon.kernel_checks import Case
from maquette.recon.mvsnet import costs

_SIZES = ((9, 7, 5), (80, 64, 24))  # pixels and planes
_KINDS = ((32, 0), (32, 8), (16, 8), (8, 4))  # channels and groups of the networks; 0: variance
_ALLOWED = 1e-4  # a place 80 pixels from the corner has seven digits, a colour there five


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """Cost volumes and their gradients, with depths of planes and of pixels."""
    for width, height, planes in _SIZES[:1] if quick else _SIZES:
        for channels, groups in _KINDS:
            yield from _cases(width, height, planes, channels, groups, device)


def make_kernels() -> Iterator[str]:
    """Use each kernel once, on the CPU."""
    for channels, groups in _KINDS:
        for case in _cases(3, 3, 2, channels, groups, torch.device("cpu")):
            case.fast()
        yield f"{'correlation' if groups else 'variance'} of views, {channels} channels"


def _cases(
    width: int, height: int, planes: int, channels: int, groups: int, device: torch.device
) -> Iterator[Case]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(3, 2, channels, height, width, generator=generator).to(device)
    matrices = torch.eye(3, 4).repeat(2, 2, 1, 1)
    matrices += 0.02 * torch.randn(matrices.shape, generator=generator)
    matrices[..., 0, 3] += 2.0  # a part of the pixels leaves the view
    shape = (2, planes) if channels == 32 else (2, planes, height, width)
    depths = (0.5 + 3.0 * torch.rand(shape, generator=generator)).to(device)
    made = partial(_volume, features, matrices.to(device), depths, groups)
    name = "correlation" if groups else "variance"
    size = f"{width} × {height} pixels, {planes} planes, {channels} channels"
    moved = 2 * planes * height * width * 4 * (groups or channels)
    yield Case(f"{name} of views", size, partial(made, True), partial(made, False), _ALLOWED, moved)
    if groups:
        fast, slow = (partial(_added, made, one) for one in (True, False))
        yield Case("correlation of views, added", size, fast, slow, _ALLOWED, 2 * moved)
    fast, slow = (partial(_gradients, features, made, has_kernels) for has_kernels in (True, False))
    yield Case(f"{name} of views, gradient", size, fast, slow, _ALLOWED, 2 * moved)


def _volume(
    features: Tensor, matrices: Tensor, depths: Tensor, groups: int, has_kernels: bool,
    views: Tensor | None = None,
) -> Tensor:  # fmt: skip
    used = features if views is None else views
    if groups:
        return costs.correlation(used[0], used[1], matrices[0], depths, groups, has_kernels)
    return costs.variance(list(used), matrices, depths, has_kernels)


def _added(made: partial[Tensor], has_kernels: bool) -> Tensor:
    """A total to which the weighted correlation with a view was added."""
    features, matrices, depths, groups = made.args
    batch, _, height, width = features[0].shape
    shape = batch, depths.shape[1], height, width, groups
    total = torch.ones(shape, device=features.device).permute(0, 4, 1, 2, 3)
    weight = features[2, :, :1, None].sigmoid()
    costs.add_correlation(total, features[0], features[1], matrices[0], depths, weight, has_kernels)
    return total


def _gradients(features: Tensor, made: Callable[..., Tensor], has_kernels: bool) -> Tensor:
    views = features.clone().requires_grad_()
    volume = made(has_kernels, views)
    slope = torch.linspace(-1.0, 1.0, volume.numel(), device=volume.device).view(volume.shape)
    (found,) = torch.autograd.grad((volume * slope).sum(), views)
    return found
