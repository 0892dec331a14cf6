"""Pictures of Gaussians and their gradients, by kernels and by the plain twin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cuda_device import DEVICES
from maquette.recon.splats.gaussians import Gaussians, logit
from maquette.recon.splats.kernels.checks import (
    camera_before,
    gradients,
    planes,
    random_gaussians,
)
from maquette.recon.splats.rasteriser import render, render_reference
from threads import threads

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("antialias", [False, True])
def test_kernels_draw_what_the_twin_does_and_so_do_their_gradients(
    device: str, degree: int, antialias: bool
) -> None:
    where = torch.device(device)
    splats, camera = random_gaussians(60, degree, where), camera_before(50, 37, where)
    draw = torch.Generator().manual_seed(5)
    given = torch.randn(5, 37, 50, generator=draw).to(where)
    fast = planes(render(splats, camera, antialias))
    slow = planes(render_reference(splats, camera, antialias))
    assert (fast - slow).abs().max() < 4e-3 and (fast - slow).abs().mean() < 1e-5
    found = gradients(render, splats, camera, given, antialias)
    for name, right in gradients(render_reference, splats, camera, given, antialias).items():
        assert (found[name] - right).abs().max() < 4e-3 * right.abs().max(), name


def test_the_twins_gradient_is_the_slope_of_what_it_draws() -> None:
    """In double precision, along a random direction of all inputs at once."""
    splats, camera = random_gaussians(6, 3, CPU), camera_before(20, 15, CPU)
    camera = replace(
        camera, rotation=camera.rotation.double(), translation=camera.translation.double()
    )
    draw = torch.Generator().manual_seed(3)
    start = [tensor.double() for _, tensor in splats.tensors()]
    way = [torch.randn(t.shape, generator=draw, dtype=torch.double) for t in start]
    given = torch.randn(5, 15, 20, generator=draw, dtype=torch.double)

    def value(step: float) -> torch.Tensor:
        moved = [a + step * b for a, b in zip(start, way, strict=True)]
        return (planes(render_reference(Gaussians(*moved), camera)) * given).sum()

    inputs = [tensor.clone().requires_grad_() for tensor in start]
    total = (planes(render_reference(Gaussians(*inputs), camera)) * given).sum()
    slopes = torch.autograd.grad(total, inputs)
    expected = sum((a * b).sum() for a, b in zip(slopes, way, strict=True))
    measured = (value(1e-7) - value(-1e-7)) / 2e-7
    assert float(measured) == pytest.approx(float(expected), rel=1e-3)


def wall(depth: float, red: float, opacity: float = 0.98) -> Gaussians:
    """One Gaussian that fills the view at a depth."""
    return Gaussians(
        torch.tensor([[0.0, 0.0, depth]]), torch.full((1, 3), 3.0), torch.tensor([[1.0, 0, 0, 0]]),
        torch.tensor([logit(opacity)]), torch.tensor([[[red / 0.28209479, 0.0, 0.0]]]),
    )  # fmt: skip


def test_the_nearer_one_hides_the_farther_whatever_their_order() -> None:
    camera = camera_before(32, 32, CPU)
    near, far = wall(2.0, 0.4), wall(6.0, -0.4)
    for parts in ([near, far], [far, near]):
        seen = render(Gaussians.joined(parts), camera)
        assert seen.color[0, 16, 16] == pytest.approx(0.98 * 0.9 + 0.02 * 0.98 * 0.1, abs=2e-3)
        depth = seen.depth[16, 16] / (1 - seen.passing[16, 16])
        assert float(depth) == pytest.approx(2.0 + 0.2, abs=0.15)


def test_what_is_behind_the_camera_or_beside_the_picture_is_not_drawn() -> None:
    camera = camera_before(32, 32, CPU)
    splats = Gaussians.joined([wall(-2.0, 0.4), wall(2.0, 0.1)])
    splats.means[1, 0], splats.log_scales[1] = 50.0, -4.0
    seen = render(splats, camera)
    assert seen.footprints is not None and not seen.footprints.visible.any()
    assert seen.color.abs().max() == 0 and seen.passing.min() == 1
    for name, slope in gradients(render, splats, camera, torch.ones(5, 32, 32), True).items():
        assert slope.abs().max() == 0, name


def test_no_gaussians_at_all_draw_nothing() -> None:
    camera = camera_before(20, 10, CPU)
    seen = render(wall(2.0, 0.0).chosen(torch.zeros(1, dtype=torch.bool)), camera)
    assert seen.passing.min() == 1 and seen.color.shape == (3, 10, 20)


def test_gradients_are_the_same_to_the_bit_however_many_threads_there_are() -> None:
    splats, camera = random_gaussians(2000, 1, CPU), camera_before(120, 90, CPU)
    given = torch.randn(5, 90, 120, generator=torch.Generator().manual_seed(2))
    found = []
    for count in (1, 3, 1):
        with threads(count):
            found.append(gradients(render, splats, camera, given, True))
    for other in found[1:]:
        for name in splats.names():
            assert torch.equal(other[name], found[0][name]), name


def test_a_score_of_pixels_is_shared_out_to_those_that_cover_them() -> None:
    camera = camera_before(32, 32, CPU)
    splats = Gaussians.joined([wall(2.0, 0.4, 0.5), wall(6.0, -0.4, 0.5)])
    splats.means.requires_grad_()
    seen = render(splats, camera)
    assert seen.footprints is not None
    seen.footprints.score = torch.ones(32, 32)
    seen.color.sum().backward()
    assert seen.footprints.sums is not None
    covered = float((1 - seen.passing.detach()).sum())
    assert float(seen.footprints.sums[:, 10].sum()) == pytest.approx(covered, rel=1e-5)
