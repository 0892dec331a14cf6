"""The hash grid against a slow twin that follows the paper word by word."""

from __future__ import annotations

import itertools

import torch

from maquette.recon.surface.hash_grid import HashGrid, follow


def slow_twin(grid: HashGrid, points: torch.Tensor) -> torch.Tensor:
    """Trilinear interpolation of hashed lattice rows, one corner at a time, float64."""
    rows = grid.table.detach().t().double()
    result = torch.zeros(len(points), grid.levels * grid.dim, dtype=torch.float64)
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
            part = slice(level * grid.dim, (level + 1) * grid.dim)
            result[n, part] += share * rows[int(grid.offsets[level]) + row]
    return result


def make(half_width: float = 1.0) -> tuple[HashGrid, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    grid = HashGrid(5, 2, 6, 10, 3, half_width, generator)
    assert 0 < grid.dense_levels < 5
    points = (torch.rand(40, 3, generator=generator) * 2 - 1) * half_width * 0.999
    return grid, points


def test_features_match_the_slow_twin() -> None:
    for half_width in (1.0, 2.0):
        grid, points = make(half_width)
        assert torch.allclose(grid(points).double(), slow_twin(grid, points), atol=1e-8)


def test_table_gradient_matches_autograd_of_a_gather() -> None:
    grid, points = make()
    index, weight = grid.corners(points, 5)
    table = grid.table.detach().t().clone().requires_grad_()
    gathered = (table[index.long()] * weight[..., None]).sum(1)  # [l, N, F]
    target = torch.rand(40, 15, generator=torch.Generator().manual_seed(1))
    (gathered.permute(1, 0, 2).flatten(1) * target).sum().backward()
    (grid(points) * target).sum().backward()
    assert grid.table.grad is not None and table.grad is not None
    assert torch.allclose(grid.table.grad, table.grad.t(), atol=1e-6)


def test_weights_sum_to_one_and_indices_stay_in_the_table() -> None:
    grid, _ = make()
    points = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [5, -5, 0]])
    index, weight = grid.corners(points, 5)
    assert torch.allclose(weight.sum(1), torch.ones(5, 3), atol=1e-5)
    assert int(index.min()) >= 0 and int(index.max()) < grid.table.shape[1]


def test_inactive_levels_are_zero() -> None:
    grid, points = make()
    features = grid(points, active=2)
    assert features.shape == (40, 15)
    assert bool((features[:, 6:] == 0).all()) and bool((features[:, :6] != 0).any())
    assert torch.equal(features[:, :6], grid(points)[:, :6])


def test_fused_optimiser_steps_are_noticed() -> None:
    grid, points = make()
    optimizer = torch.optim.AdamW(grid.parameters(), lr=0.1, fused=True)
    follow(optimizer, grid)
    before = grid(points)
    before.sum().backward()
    optimizer.step()
    assert torch.allclose(grid(points).double(), slow_twin(grid, points), atol=1e-6)
    assert not torch.allclose(grid(points), before)
