"""What does it cost to draw splats and to learn from a picture, by kernels and by their twins?

    .venv/bin/python benchmarks/splats.py [--json] [--runs 9] [--threads 2] [--twin 1000]

Wall-clock and processor milliseconds, medians; both tools in the same run. The twin asks every
pixel for every Gaussian, so it draws fewer of them. First calls, which compile, are not measured.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.losses import photo_loss, ssim, ssim_reference
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.rasteriser import render, render_reference
from maquette.recon.splats.renderings import Rendering
from maquette.recon.splats.schedule import Schedule
from rows import Row, print_rows

CPU = torch.device("cpu")
WIDTH, HEIGHT = 400, 266
CASES = ((7_400, 0.02), (100_000, 0.012))  # Gaussians and their size
Draw = Callable[[Gaussians, Camera], Rendering]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--twin", type=int, default=300, help="Gaussians that the twin draws")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for tool, draw, count, size in (
        ("twin", render_reference, arguments.twin, 0.05),
        ("kernels", render, arguments.twin, 0.05),
        *(("kernels", render, *case) for case in CASES),
    ):
        splats = gaussians(count, size)
        rows += measured(f"raster, {count:,}", tool, arguments.runs, raster(draw, splats, camera()))
    for count, size in CASES:
        step = whole_step(gaussians(count, size), camera())
        rows += measured(f"whole step, {count:,}", "kernels", arguments.runs, step)
    photo = noise(camera(), 1)
    seen = (photo * 0.9).requires_grad_()
    for tool, similar in (("twin", ssim_reference), ("kernels", ssim)):
        run = similarity(similar, seen, photo)
        rows += measured(f"SSIM, {WIDTH} × {HEIGHT}", tool, arguments.runs, run)
    print_rows(rows, arguments.json)


def gaussians(count: int, size: float, degree: int = 1) -> Gaussians:
    """Seeded Gaussians that fill the view of `camera`."""
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    means = (torch.rand(count, 3, generator=draw) - 0.5) * torch.tensor([3.0, 2.0, 2.0])
    return Gaussians(
        means + torch.tensor([0.0, 0.0, 4.0]), 0.4 * normal(count, 3) + math.log(size),
        normal(count, 4), normal(count), 0.2 * normal(count, (degree + 1) ** 2, 3),
    )  # fmt: skip


def camera(width: int = WIDTH, height: int = HEIGHT, device: torch.device = CPU) -> Camera:
    middle, focal = (width / 2, height / 2), 1.125 * width
    turn, shift = torch.eye(3, device=device), torch.zeros(3, device=device)
    return Camera(turn, shift, (focal, focal), middle, width, height)


def noise(camera: Camera, seed: int) -> Tensor:
    """A picture of the camera's size and device."""
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(3, camera.height, camera.width, generator=draw).to(camera.rotation.device)


def raster(draw: Draw, splats: Gaussians, camera: Camera) -> Callable[[], None]:
    """Forward and backward."""
    inputs = [tensor.requires_grad_() for _, tensor in splats.tensors()]
    given = noise(camera, 2) - 0.5

    def run() -> None:
        torch.autograd.grad(draw(Gaussians(*inputs), camera).color, inputs, given)

    return run


def whole_step(splats: Gaussians, camera: Camera) -> Callable[[], None]:
    """Forward, loss, backward and sparse Adam."""
    photo = noise(camera, 3)
    optimiser, rates = SparseAdam(splats), Schedule(SplatOptions(), 1.0).rates(0)

    def run() -> None:
        inputs = {name: t.detach().requires_grad_() for name, t in splats.tensors()}
        shown = render(Gaussians(**inputs), camera)
        found = torch.autograd.grad(photo_loss(shown.color, photo), list(inputs.values()))
        assert shown.footprints is not None
        gradients = dict(zip(inputs, found, strict=True))
        optimiser.step(splats, gradients, shown.footprints.touched, rates)

    return run


def similarity(
    function: Callable[[Tensor, Tensor], Tensor], seen: Tensor, photo: Tensor
) -> Callable[[], None]:
    def run() -> None:
        torch.autograd.grad(function(seen, photo), seen)

    return run


def measured(case: str, tool: str, runs: int, run: Callable[[], None]) -> list[Row]:
    """Median wall-clock and processor times."""
    run()
    wall, processor = [], []
    for _ in range(runs):
        start = time.perf_counter(), time.process_time()
        run()
        wall.append(1000 * (time.perf_counter() - start[0]))
        processor.append(1000 * (time.process_time() - start[1]))
    return [
        Row(case, tool, "wall clock", statistics.median(wall), "ms"),
        Row(case, tool, "processor", statistics.median(processor), "ms"),
    ]


if __name__ == "__main__":
    main()
