"""The kernels of splats beside their twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from maquette.recon.kernel_checks import Case
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.rasteriser import Rendering, render, render_reference

_SIZES = ((1, 5, 3), (40, 33, 18), (300, 97, 64))  # Gaussians, width, height
_DEGREES = (0, 3)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """Pictures of random Gaussians, and the gradients of everything that made them."""
    for count, width, height in _SIZES[:2] if quick else _SIZES:
        camera = camera_before(width, height, device)
        for degree in _DEGREES:
            yield from _cases(random_gaussians(count, degree, device), camera)


def make_kernels() -> Iterator[str]:
    """Use each kernel once, on the CPU."""
    cpu = torch.device("cpu")
    for case in _cases(random_gaussians(1, 0, cpu), camera_before(4, 4, cpu)):
        case.fast()
    yield "splats"


def random_gaussians(count: int, degree: int, device: torch.device) -> Gaussians:
    """Seeded Gaussians about the point (0, 0, 3)."""
    draw = torch.Generator().manual_seed(count)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    means = 0.7 * normal(count, 3) + torch.tensor([0.0, 0.0, 3.0])
    return Gaussians(
        means, 0.5 * normal(count, 3) + math.log(0.05), normal(count, 4), normal(count),
        0.3 * normal(count, (degree + 1) ** 2, 3),
    ).to(device)  # fmt: skip


def camera_before(width: int, height: int, device: torch.device) -> Camera:
    """A camera near the origin that looks along z, slightly turned."""
    c, s = math.cos(0.1), math.sin(0.1)
    return Camera(
        torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], device=device),
        torch.tensor([0.05, -0.1, 0.2], device=device),
        (1.1 * width, 1.15 * width), (0.52 * width, 0.47 * height), width, height,
    )  # fmt: skip


def planes(rendering: Rendering) -> Tensor:
    """All that a rendering shows, [5, H, W]."""
    return torch.cat([rendering.color, rendering.depth[None], rendering.passing[None]])


def gradients(
    draw: Callable[[Gaussians, Camera, bool], Rendering], splats: Gaussians, camera: Camera,
    given: Tensor, antialias: bool,
) -> dict[str, Tensor]:  # fmt: skip
    """Gradient of each parameter, of the rotation and of the translation."""
    inputs = {name: tensor.clone().requires_grad_() for name, tensor in splats.tensors()}
    pose = {
        "rotation": camera.rotation.clone().requires_grad_(),
        "translation": camera.translation.clone().requires_grad_(),
    }
    found = planes(draw(Gaussians(**inputs), replace(camera, **pose), antialias))
    wanted = inputs | pose
    return dict(zip(wanted, torch.autograd.grad(found, list(wanted.values()), given), strict=True))


def _cases(splats: Gaussians, camera: Camera) -> Iterator[Case]:
    draw = torch.Generator().manual_seed(1)
    given = torch.randn(5, camera.height, camera.width, generator=draw).to(splats.device)
    size = f"{len(splats)} of degree {splats.degree}, {camera.width} × {camera.height}"

    def picture(function: Callable[..., Rendering]) -> Tensor:
        with torch.no_grad():
            return planes(function(splats, camera))

    def slopes(function: Callable[..., Rendering]) -> Tensor:
        """Each relative to its twin's largest, so that none hides behind another."""
        found = gradients(function, splats, camera, given, True)
        return torch.cat([(value / largest[name]).flatten() for name, value in found.items()])

    twin = gradients(render_reference, splats, camera, given, True)
    largest = {name: value.abs().max().clamp(min=1e-6) for name, value in twin.items()}
    moved = 4 * (given.numel() + len(splats) * (11 + 3 * splats.sh.shape[1]))
    for kernel, run, factor in (("splats", picture, 1), ("splats gradient", slopes, 3)):
        # where an ellipse ends is a matter of rounding, and worth 1 / 255
        yield Case(
            kernel, size, partial(run, render), partial(run, render_reference), 4e-3,
            factor * moved,
        )  # fmt: skip
