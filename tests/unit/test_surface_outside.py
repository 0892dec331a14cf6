"""The walk through the outside: all of it but the ball, in order, and what it hides or shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maquette.recon.geometry.rays import Rays
from maquette.recon.surface.background import BackgroundField
from maquette.recon.surface.config import (
    Background,
    BackgroundEncoding,
    Encoding,
    HashGridConfig,
    Mlp,
    Model,
    ObjectModel,
    Render,
    Sdf,
    SdfMlp,
)
from maquette.recon.surface.model import Phase, SurfaceModel
from maquette.recon.surface.outside import Outside, even_shares

START = [
    [3.0, 0, 0],  # towards the ball
    [3.0, 0, 0],  # past it
    [3.0, 0, 0],  # away from it
    [0.5, 0, 0],  # from within
]
TOWARDS = [[-1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0], [-1.0, 0, 0]]


def rays() -> Rays:
    origins, directions = torch.tensor(START), torch.tensor(TOWARDS)
    return Rays(origins, directions, torch.ones(len(origins)))


def shares(count: int) -> Tensor:
    noise = torch.rand(len(START), count, generator=torch.Generator().manual_seed(0))
    return even_shares(noise)


def walked(count: int = 300) -> tuple[Outside, Tensor, Tensor, Tensor]:
    """Outside, shares, distances and radii of places along the rays."""
    cast, share = rays(), shares(count)
    outside = Outside.of(cast.origins, cast.directions)
    along = outside.along(share)
    places = cast.origins[:, None] + along[..., None] * cast.directions[:, None]
    return outside, share, along, places.norm(dim=2)


def test_places_leave_out_the_ball_and_reach_far_behind_it() -> None:
    _, _, along, radius = walked()
    assert bool((along.diff(dim=1) > 0).all()) and float(along.min()) >= 0
    assert float(radius.min()) >= 1 - 1e-5
    assert bool((radius[:, -1] > 50).all()) and float(radius.max()) <= 1001


def test_only_a_camera_outside_has_something_before_the_ball() -> None:
    outside, share, along, _ = walked()
    before = outside.is_before(share)
    assert before.any(dim=1).tolist() == [True, False, False, False]
    assert float(along[0][before[0]].max()) <= 2 + 1e-5
    assert float(along[0][~before[0]].min()) >= 4 - 1e-5
    assert (outside.gap[:, 0] > 0).tolist() == [True, False, False, True]


def test_steps_end_at_the_ball_and_add_up_to_each_part() -> None:
    outside, share, _, _ = walked()
    steps, before = outside.steps(share), outside.is_before(share)
    assert bool((steps > 0).all()) and bool(steps[:, -1].isinf().all())
    begun = share[0, 0] * outside.length[0]
    assert torch.allclose(steps[0][before[0]].sum(), outside.before[0] - begun, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("is_full", [False, True])
def test_what_stands_before_the_ball_hides_what_is_behind(is_full: bool) -> None:
    cast = rays()
    field = BackgroundField(Background(), 0, torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(field.density.weight)
    torch.nn.init.constant_(field.density.bias, 30.0 if is_full else -30.0)
    outside = Outside.of(cast.origins, cast.directions)
    seen = field(cast, outside, torch.zeros(len(START), 0), shares(40))
    assert torch.allclose(seen.veil, torch.tensor([float(is_full), 0, 0, 0]), atol=1e-3)
    assert bool((seen.before[0] > 0.1).all()) == is_full
    assert bool((seen.behind[0] < 1e-3).all()) == is_full
    assert bool((seen.behind[1:] > 0.1).all()) and not seen.before[1:].any()


@torch.no_grad()
def test_a_colour_is_the_same_whether_or_not_all_rays_are_asked() -> None:
    grid = HashGridConfig(3, 6, 12, 2)
    sdf = Sdf(SdfMlp(hidden_dim=16), Encoding(4, grid))
    surroundings = Background(True, Mlp(hidden_dim=16), BackgroundEncoding(2, grid))
    config = Model("torch", ObjectModel(sdf), surroundings, Render(cache_resolution=12))
    model = SurfaceModel(config, 1, torch.Generator().manual_seed(0))
    model.cache.rebuild(lambda points: points.norm(dim=1) - 0.5)
    assert model.background is not None
    torch.nn.init.zeros_(model.background.density.bias)
    some = model.shade(rays(), None, Phase(2), None)
    every = model.shade(rays(), None, Phase(2), None, fixed=True)
    assert torch.allclose(some.rgb, every.rgb, atol=1e-5)
    assert torch.allclose(some.veil, every.veil, atol=1e-6)
    assert some.veil[0] > 0.5 and not some.veil[1:].any()
