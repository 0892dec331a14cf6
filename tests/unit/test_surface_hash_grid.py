"""The hash grid against a slow twin that follows the paper word by word."""

from __future__ import annotations

import itertools

import pytest
import torch

from cuda_device import DEVICES
from maquette.recon.surface.hash_grid import HashGrid
from threads import threads


def slow_twin(grid: HashGrid, points: torch.Tensor) -> torch.Tensor:
    """Trilinear interpolation of hashed lattice rows, one corner at a time, float64."""
    rows = grid.table.detach().double()
    result = torch.zeros(len(points), grid.width, dtype=torch.float64)
    result[:, :3] = points
    for n, level in itertools.product(range(len(points)), range(grid.levels)):
        cells = grid.resolutions[level]
        at = (points[n].double() / (2 * grid.half_width) + 0.5) * cells
        low = at.floor().long().tolist()
        for corner in itertools.product((0, 1), repeat=3):
            x, y, z = (base + step for base, step in zip(low, corner, strict=True))
            if level < grid.dense_levels:
                row = (x * (cells + 1) + y) * (cells + 1) + z
            else:
                row = ((x ^ (y * 2654435761) ^ (z * 805459861)) & 0xFFFFFFFF) & grid.mask
            share = 1.0
            for axis, step in enumerate(corner):
                fraction = float(at[axis]) - low[axis]
                share *= fraction if step else 1 - fraction
            part = slice(3 + level * grid.dim, 3 + (level + 1) * grid.dim)
            result[n, part] += share * rows[int(grid.lattice[level, 1]) + row]
    return result


def make(half_width: float = 1.0) -> tuple[HashGrid, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    grid = HashGrid(5, 2, 6, 10, 3, half_width, generator)
    assert 0 < grid.dense_levels < 5
    points = (torch.rand(40, 3, generator=generator) * 2 - 1) * half_width * 0.999
    return grid, points


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("half_width", [1.0, 2.0])
def test_features_match_the_slow_twin(fast: bool, half_width: float) -> None:
    grid, points = make(half_width)
    grid.fast = fast
    assert torch.allclose(grid(points).double(), slow_twin(grid, points), atol=1e-7)


@pytest.mark.parametrize("dim", [1, 2, 4, 8])
@pytest.mark.parametrize("active", [1, 3, 5])
@pytest.mark.parametrize("device", DEVICES)
def test_the_kernels_equal_the_reference_forward_and_backward(
    dim: int, active: int, device: str
) -> None:
    generator = torch.Generator().manual_seed(dim)
    grid = HashGrid(5, 2, 6, 10, dim, 1.5, generator).to(device)
    points = (torch.rand(3000, 3, generator=generator) * 2 - 1) * 1.7  # some lie outside
    points, target = points.to(device), torch.rand(3000, grid.width, generator=generator).to(device)
    results = []
    for fast in (True, False):
        grid.fast, grid.table.grad = fast, None
        features = grid(points, active)
        (features * target).sum().backward()
        assert grid.table.grad is not None
        results.append((features.detach(), grid.table.grad))
    (fast_features, fast_gradient), (features, gradient) = results
    assert torch.allclose(fast_features, features, atol=1e-6)
    assert torch.allclose(fast_gradient, gradient, atol=1e-4)
    assert bool((gradient != 0).any())


def test_the_kernels_give_the_same_sums_every_time_on_any_number_of_threads() -> None:
    grid = HashGrid(6, 2, 7, 8, 2, generator=torch.Generator().manual_seed(0))
    points = torch.rand(5000, 3, generator=torch.Generator().manual_seed(1))
    gradients = []
    for count in (3, 3, 1):
        grid.table.grad = None
        with threads(count):
            grid(points).square().sum().backward()
        gradients.append(grid.table.grad)
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])


def test_weights_sum_to_one_and_indices_stay_in_the_table() -> None:
    grid, _ = make()
    points = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [5, -5, 0]])
    index, weight = grid.corners(points, 5)
    assert torch.allclose(weight.sum(1), torch.ones(5, 3), atol=1e-5)
    assert int(index.min()) >= 0 and int(index.max()) < len(grid.table)


@pytest.mark.parametrize("fast", [True, False])
def test_inactive_levels_are_zero(fast: bool) -> None:
    grid, points = make()
    grid.fast = fast
    features = grid(points, active=2)
    assert features.shape == (40, 18)
    assert bool((features[:, 9:] == 0).all()) and bool((features[:, :9] != 0).any())
    assert torch.equal(features[:, :9], grid(points)[:, :9])


def test_no_points_give_no_features() -> None:
    grid, _ = make()
    assert grid(torch.zeros(0, 3)).shape == (0, 18)
