"""The fields: a sphere at the start, and derivatives that are right."""

from __future__ import annotations

import pytest
import torch

from maquette.recon.surface.background import contract
from maquette.recon.surface.config import Encoding, Gradient, HashGridConfig, Sdf, SdfMlp
from maquette.recon.surface.field import _AXES, _TETRAHEDRON, SdfField, differences


def small(inside_out: bool = False, taps: int = 4) -> SdfField:
    encoding = Encoding(levels=4, hashgrid=HashGridConfig(2, 5, 10, 2))
    mlp = SdfMlp(hidden_dim=16, out_bias=0.4, inside_out=inside_out)
    return SdfField(Sdf(mlp, encoding, Gradient(taps=taps)), torch.Generator().manual_seed(0))


def points(count: int = 200) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(5)) * 1.2 - 0.6


@pytest.mark.parametrize("inside_out", [False, True])
def test_field_starts_as_a_sphere(inside_out: bool) -> None:
    x = points()
    distance, features = small(inside_out)(x)
    sign = -1.0 if inside_out else 1.0
    assert torch.allclose(distance, sign * (x.norm(dim=1) - 0.4), atol=0.01)
    assert features.shape == (200, 16)


def test_mixed_precision_leaves_the_distance_exact() -> None:
    field, x = small(), points()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = field(x)[0]
    assert mixed.dtype == torch.float32 and torch.equal(mixed, field(x)[0])


@pytest.mark.parametrize("taps", [4, 6])
def test_probe_of_the_sphere_has_unit_outward_normals(taps: int) -> None:
    x = points()
    x = x[x.norm(dim=1) > 0.35]  # the step is 1/16: near the centre the sphere bends too much
    probe = small(taps=taps).probe(x)
    assert torch.allclose(probe.normals, torch.nn.functional.normalize(x, dim=1), atol=0.1)
    assert torch.allclose(probe.gradient.norm(dim=1), torch.ones(len(x)), atol=0.1)


@pytest.mark.parametrize("taps", [_TETRAHEDRON, _AXES])
def test_differences_match_analytic_derivatives(taps: torch.Tensor) -> None:
    matrix = torch.tensor([[2.0, 0.3, 0.1], [0.3, -1.0, 0.2], [0.1, 0.2, 0.7]])
    slope = torch.tensor([0.5, -0.2, 0.9])
    x, width = points(), 0.05

    def f(at: torch.Tensor) -> torch.Tensor:
        return 0.5 * torch.einsum("...i,ij,...j->...", at, matrix, at) + at @ slope

    gradient, laplacian = differences(
        f(x), f(x[None] + width * taps.float()[:, None]), taps.float(), width
    )
    # The tetrahedron sees mixed second derivatives at first order in the step.
    tolerance = 1e-4 if len(taps) == 6 else width * 0.5
    assert torch.allclose(gradient, x @ matrix + slope, atol=tolerance)
    assert torch.allclose(laplacian, torch.full((200,), float(matrix.trace())), atol=0.02)


def test_distance_learns_through_gradients_of_normals() -> None:
    field = small()
    probe = field.probe(points())
    (probe.gradient.square().sum() + probe.laplacian.abs().sum()).backward()
    assert field.head.weight.grad is not None and bool((field.head.weight.grad != 0).any())


def test_contraction_is_bounded_and_keeps_the_ball() -> None:
    inside = points() * 0.9
    assert torch.allclose(contract(inside), inside)
    far = torch.nn.functional.normalize(points(), dim=1) * torch.logspace(0, 5, 200)[:, None]
    radius = contract(far).norm(dim=1)
    assert float(radius.max()) <= 2.0 and bool((radius.diff() >= -1e-6).all())


def test_mixed_precision_does_not_reach_the_distance_or_its_gradient() -> None:
    """Differences over a cell's width are lost in bfloat16's eight bits."""
    field = SdfField(Sdf(), torch.Generator().manual_seed(0))
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    exact = field.probe(points)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = field.probe(points)
    assert torch.equal(mixed.distance, exact.distance)
    assert torch.equal(mixed.gradient, exact.gradient)
    assert torch.equal(mixed.laplacian, exact.laplacian)
