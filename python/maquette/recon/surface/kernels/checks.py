"""The surface's kernels beside their twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from maquette.recon.geometry.rays import Rays
from maquette.recon.kernel_checks import Case
from maquette.recon.surface.config import NumSamples, Render
from maquette.recon.surface.hash_grid import HashGrid
from maquette.recon.surface.merging import merge
from maquette.recon.surface.presets import PRESETS
from maquette.recon.surface.sampling import DistanceCache, sample_rays
from maquette.recon.training.configuration import flatten
from maquette.recon.training.draws import Draws

# levels, log2 of the coarsest and the finest lattice, log2 of a level's rows, features of a row
_GRIDS = {
    "preview": (8, 4, 9, 18, 2),
    "standard": (12, 4, 10, 20, 4),
    "full": (16, 5, 11, 22, 8),
}
_COUNTS = (1, 33, 4_095, 262_144)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """All comparisons."""
    counts = _COUNTS[:-1] if quick else _COUNTS
    for name in ("preview",) if quick else _GRIDS:
        grid = HashGrid(*_GRIDS[name]).to(device)
        with torch.no_grad():  # a new table's entries are too small to show a wrong row
            grid.table.uniform_(-1.0, 1.0)
        for count in counts:
            yield from _grid_cases(name, grid, count)
    for count in counts:
        yield _ray_case(min(count, 8_192), device)


def make_kernels() -> Iterator[str]:
    """Use every kernel that a preset needs once, on the CPU and next to nothing, so that it exists.

    Kernels of the hash grid are made for one number of features each, when that is first used.

    Yields:
        What the kernels that were just made are for.
    """
    for dim in sorted(_features_of_presets()):
        grid = HashGrid(2, 1, 2, 5, dim)
        grid(torch.zeros(1, 3)).sum().backward()
        yield f"hash grid, {dim} features"
    _ray_case(1, torch.device("cpu")).fast()
    yield "samples along rays"


def _features_of_presets() -> set[int]:
    config = [flatten(asdict(merge(preset))) for preset in PRESETS]
    return {flat[key] for flat in config for key in flat if key.endswith(".hashgrid.dim")}


def _grid_cases(name: str, grid: HashGrid, count: int) -> Iterator[Case]:
    generator, device = torch.Generator().manual_seed(count), grid.table.device
    levels, dim = grid.levels, grid.dim
    points = (torch.rand(count, 3, generator=generator) * 2.1 - 1.05).to(device)
    given = torch.rand(count, grid.width, generator=generator).to(device)

    def features(active: int, fast: bool) -> Tensor:
        grid.fast = fast
        with torch.no_grad():
            return grid(points, active)

    def gradient(active: int, fast: bool) -> Tensor:
        grid.fast, grid.table.grad = fast, None
        grid(points, active).backward(given)
        assert grid.table.grad is not None
        return grid.table.grad

    for active in (levels // 2, levels):
        size = f"{name}, {count} points, {active} of {levels} levels"
        corners = count * active * 8 * dim * 4
        for kernel, run, allowed, moved in (
            ("hash grid", features, 1e-5, corners + count * grid.width * 4),
            ("hash grid gradient", gradient, 1e-4, 2 * corners + grid.table.numel() * 4),
        ):
            fast, slow = partial(run, active, True), partial(run, active, False)
            yield Case(kernel, size, fast, slow, allowed, moved)


def _ray_case(count: int, device: torch.device) -> Case:
    """Places along rays as one number a ray, their mean: single places may differ (see twin)."""
    cache = DistanceCache(128).to(device)
    cache.rebuild(lambda x: torch.minimum(x.norm(dim=1) - 0.4, (x - 0.3).abs().amax(1) - 0.3))
    generator = torch.Generator().manual_seed(count)
    normal = torch.randn(2, count, 3, generator=generator)
    toward = torch.nn.functional.normalize(normal[0], dim=1)
    directions = torch.nn.functional.normalize(toward + 0.3 * normal[1], dim=1)
    ones = torch.ones(count, device=device)
    sharpness = torch.tensor(200.0, device=device)
    rays = Rays(-1.5 * toward.to(device), directions.to(device), ones)
    config = Render(num_sample_hierarchy=2, num_samples=NumSamples(coarse=16, fine=24))

    def sample(fast: bool) -> Tensor:
        draws = Draws(torch.Generator(device=device).manual_seed(1))
        return sample_rays(rays, cache, sharpness, config, draws, fast).mean(1)

    size = f"{count} rays, 40 samples"
    moved = count * (65 + 32 + 40 + 40 + 8) * 4
    return Case(
        "samples along rays", size, lambda: sample(True), lambda: sample(False), 2e-3, moved
    )
