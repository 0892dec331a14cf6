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
from maquette.recon.splats.losses import ssim, ssim_reference
from maquette.recon.splats.mcmc import jitter
from maquette.recon.splats.optimiser import SparseAdam, adam_reference
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.rasteriser import render, render_reference
from maquette.recon.splats.renderings import Rendering
from maquette.recon.splats.schedule import Schedule

_SIZES = ((1, 5, 3), (40, 33, 18), (300, 97, 64))  # Gaussians, width, height
_DEGREES = (0, 3)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """Pictures of random Gaussians, and the gradients of everything that made them."""
    for count, width, height in _SIZES[:2] if quick else _SIZES:
        camera = camera_before(width, height, device)
        for degree in _DEGREES:
            yield from _cases(random_gaussians(count, degree, device), camera)
        yield from _similarity(width, height, device)
        yield _step(random_gaussians(count, 1, device))
    count, width, height = _SIZES[1]
    above = from_above(camera_before(width, height, device))
    yield from _cases(random_gaussians(count, 1, device), above)


def make_kernels() -> Iterator[str]:
    """Use each kernel once, on the CPU."""
    cpu = torch.device("cpu")
    for case in _cases(random_gaussians(1, 0, cpu), camera_before(4, 4, cpu)):
        case.fast()
    yield "splats"
    for case in _similarity(4, 4, cpu):
        case.fast()
    yield "structural similarity"
    splats = random_gaussians(1, 0, cpu)
    _step(splats).fast()
    jitter(splats, torch.zeros(1, 3), 1.0)
    yield "steps of splats"


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


def from_above(camera: Camera) -> Camera:
    """The same place and size of a camera whose rays are parallel."""
    focal = 0.3 * camera.focal[0], 0.3 * camera.focal[1]
    return replace(camera, is_orthographic=True, focal=focal)


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
    size += ", orthographic" * camera.is_orthographic

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


def _similarity(width: int, height: int, device: torch.device) -> Iterator[Case]:
    draw = torch.Generator().manual_seed(2)
    photo = torch.rand(3, height, width, generator=draw)
    seen = (photo + 0.1 * torch.randn(photo.shape, generator=draw)).to(device).requires_grad_()
    photo = photo.to(device)

    def value(function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        return function(seen, photo).detach()

    def slope(function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(function(seen, photo), seen)[0].contiguous()

    size, moved = f"{width} × {height}", 4 * 2 * photo.numel()
    for kernel, run, factor in (("similarity", value, 1), ("similarity gradient", slope, 2)):
        yield Case(
            kernel, size, partial(run, ssim), partial(run, ssim_reference), 1e-4, factor * moved
        )


def _step(splats: Gaussians) -> Case:
    """Where one step of sparse Adam takes the means, half of which are visible."""
    draw = torch.Generator().manual_seed(3)
    gradient = torch.randn(splats.means.shape, generator=draw).to(splats.device)
    touched = (torch.rand(len(splats), generator=draw) > 0.5).int().to(splats.device)
    rates = Schedule(SplatOptions(), 1.0).rates(0)

    def fast() -> Tensor:
        moved = splats.detached()
        given = {name: torch.zeros_like(tensor) for name, tensor in moved.tensors()}
        SparseAdam(moved).step(moved, given | {"means": gradient}, touched, rates)
        return moved.means

    def slow() -> Tensor:
        mean, square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        visible = touched > 0
        return adam_reference(splats.means, gradient, mean, square, visible, rates.means, 1)

    return Case("sparse Adam", f"{len(splats)} splats", fast, slow, 1e-6, 4 * 7 * gradient.numel())
