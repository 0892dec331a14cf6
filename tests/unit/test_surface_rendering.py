"""Weights and samples: bounded, normalised, and where the surface is."""

from __future__ import annotations

import pytest
import torch

from cuda_device import DEVICES
from maquette.recon.geometry.rays import Rays
from maquette.recon.surface.config import NumSamples, Render
from maquette.recon.surface.rendering import (
    composite_weights,
    crossing,
    gather_sections,
    section_opacity,
)
from maquette.recon.surface.sampling import DistanceCache, draw, sample_rays
from maquette.recon.training.draws import Draws


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def test_weights_never_exceed_one_and_account_for_all_light() -> None:
    opacity = torch.rand(50, 20, generator=torch.Generator().manual_seed(0))
    weights, passing = composite_weights(opacity)
    assert torch.allclose(weights.sum(1) + passing, torch.ones(50), atol=1e-4)
    assert float(weights.min()) >= 0


def test_weights_match_a_loop() -> None:
    opacity = torch.rand(3, 6, generator=torch.Generator().manual_seed(1))
    weights, passing = composite_weights(opacity)
    for ray in range(3):
        left = 1.0
        for section in range(6):
            assert abs(float(weights[ray, section]) - left * float(opacity[ray, section])) < 1e-5
            left *= 1 - float(opacity[ray, section])
        assert abs(float(passing[ray]) - left) < 1e-5


def test_weight_peaks_at_the_zero_crossing() -> None:
    along = torch.linspace(0, 2, 101)[None]
    distance = 1.205 - along  # a plane met head on
    for sharpness in (20.0, 100.0, 1000.0):
        weights, passing = composite_weights(section_opacity(distance, sharpness))
        peak = int(weights.argmax())
        assert abs(float(along[0, peak]) + 0.01 - 1.205) <= 0.02
        assert float(passing) < 1e-3


def test_light_that_leaves_a_surface_is_not_blocked() -> None:
    distance = torch.linspace(-1, 1, 50)[None] + 1.2  # always outside, moving away
    weights, passing = composite_weights(section_opacity(distance, 100.0))
    assert float(weights.sum()) < 1e-3 and float(passing) > 0.99


def test_crossing_is_exact_for_a_plane() -> None:
    along = torch.tensor([[0.0, 0.4, 1.0, 1.5]])
    looked = crossing(0.7 - along, along)
    assert torch.allclose(looked, torch.tensor([[0.2, 0.7, 1.25]]))


def test_draw_follows_the_density() -> None:
    edges = torch.linspace(0, 1, 11)[None].expand(200, 11)
    weights = torch.full((200, 10), 1e-4)
    weights[:, 3] = 1.0
    drawn = draw(edges, weights, torch.rand(200, 16, generator=torch.Generator().manual_seed(0)))
    assert bool((drawn.diff(dim=1) >= 0).all())
    assert float(((drawn >= 0.3) & (drawn <= 0.4)).float().mean()) > 0.95


def test_samples_gather_at_the_cached_surface() -> None:
    cache = DistanceCache(48)
    cache.rebuild(lambda points: points.norm(dim=1) - 0.4)
    directions = torch.nn.functional.normalize(torch.tensor([[1.0, 0.05, 0], [1, 0, 0.1]]), dim=1)
    rays = Rays(-directions * 0.9, directions, torch.ones(2))
    config = Render(num_samples=NumSamples(coarse=6, fine=16))
    for source in (draws(0), None):
        along = sample_rays(rays, cache, torch.tensor(200.0), config, source)
        assert along.shape == (2, 22)
        assert bool((along.diff(dim=1) >= 0).all())
        assert torch.allclose(along[:, 0], torch.zeros(2), atol=1e-5)
        assert torch.allclose(along[:, -1], torch.full((2,), 1.9), atol=1e-5)
        assert int(((along - 0.5).abs() < 0.05).sum(1).min()) >= 10


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("sharpness", [20.0, 300.0])
@pytest.mark.parametrize("device", DEVICES)
def test_the_sampling_kernel_equals_the_reference(
    passes: int, sharpness: float, device: str
) -> None:
    cache = DistanceCache(40).to(device)
    cache.rebuild(lambda x: torch.minimum(x.norm(dim=1) - 0.4, (x - 0.3).abs().amax(1) - 0.3))
    generator = torch.Generator().manual_seed(7)
    toward = torch.nn.functional.normalize(torch.randn(600, 3, generator=generator), dim=1)
    aside = 0.3 * torch.randn(600, 3, generator=generator)
    directions = torch.nn.functional.normalize(toward + aside, dim=1)
    of_rays = (-1.5 * toward, directions, torch.ones(600))  # some miss the ball
    rays = Rays(*(tensor.to(device) for tensor in of_rays))
    config = Render(num_sample_hierarchy=passes, num_samples=NumSamples(coarse=5, fine=12))
    fast, slow = (
        sample_rays(
            rays,
            cache,
            torch.tensor(sharpness, device=device),
            config,
            Draws(torch.Generator(device).manual_seed(1)),
            kernel,
        )
        for kernel in (True, False)
    )
    assert bool((fast.diff(dim=1) >= 0).all())
    # Where the cache is saturated or nothing passes any more the kernel does not look: samples
    # there move a little.
    assert float(((fast - slow).abs() < 1e-3).float().mean()) > 0.98
    assert float((fast - slow).abs().mean()) < 2e-3


def test_groups_of_sections_keep_weight_and_mean_place() -> None:
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(50, 12, generator=generator) * (torch.rand(50, 12) > 0.4) / 12
    along = torch.rand(50, 12, generator=generator).sort(dim=1).values
    gathered, place = gather_sections(weights, along, 4)
    assert gathered.shape == place.shape == (50, 4)
    assert torch.allclose(gathered.sum(1), weights.sum(1), atol=1e-6)
    assert torch.allclose((gathered * place).sum(1), (weights * along).sum(1), atol=1e-5)
    one = torch.zeros(1, 12)
    one[0, 5] = 0.8
    gathered, place = gather_sections(one, along[:1], 4)
    assert int((gathered > 0).sum()) == 1
    assert torch.allclose(place[gathered > 0], along[0, 5])


def test_cache_refresh_visits_every_plane() -> None:
    cache = DistanceCache(50)
    cache.rebuild(lambda points: points.norm(dim=1) - 0.4)
    for iteration in range(40):
        cache.refresh(lambda points: points.norm(dim=1) - 0.1, iteration)
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    assert torch.allclose(cache(points), points.norm(dim=1) - 0.1, atol=0.03)
