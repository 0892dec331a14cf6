"""The parameters of Gaussian splats."""

from __future__ import annotations

import pytest
import torch

from maquette.recon.splats.gaussians import Gaussians, logit


def some(count: int = 5, degree: int = 1) -> Gaussians:
    draw = torch.Generator().manual_seed(count)
    k = (degree + 1) ** 2
    shapes = [(count, 3), (count, 3), (count, 4), (count,), (count, k, 3)]
    return Gaussians(*(torch.randn(shape, generator=draw) for shape in shapes))


def test_activation_gives_scales_rotations_and_opacities_in_range() -> None:
    splats = some(9)
    assert (splats.scales > 0).all() and ((splats.opacities > 0) & (splats.opacities < 1)).all()
    assert splats.rotations.norm(dim=1) == pytest.approx(1.0)
    assert torch.tensor(logit(0.3)).sigmoid() == pytest.approx(0.3)


def test_raising_the_degree_keeps_colours_and_lowering_it_cuts() -> None:
    splats = some(degree=1)
    raised = splats.with_degree(3)
    assert raised.degree == 3 and raised.sh[:, 4:].abs().max() == 0
    assert torch.equal(raised.with_degree(1).sh, splats.sh)
    assert torch.equal(raised.base_colors, splats.base_colors)


def test_parts_of_a_set_join_to_the_set() -> None:
    splats = some()
    joined = Gaussians.joined([splats.chosen(torch.arange(2)), splats.chosen(torch.arange(2, 5))])
    assert all(torch.equal(getattr(joined, name), tensor) for name, tensor in splats.tensors())


def test_a_copy_shares_no_memory_and_a_number_that_is_none_is_seen() -> None:
    splats = some()
    copy = splats.detached()
    copy.means[3, 1] = torch.nan
    assert splats.is_finite() and not copy.is_finite()
