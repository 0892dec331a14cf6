"""Bring a new surface to the points of structure from motion or dense stereo, before training."""

from __future__ import annotations

import torch

from maquette.recon.surface import losses
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.field import SdfField
from maquette.recon.surface.model import Phase
from maquette.recon.surface.optimizer import without_compiler
from maquette.recon.surface.surface_points import SurfacePoints
from maquette.recon.training.draws import Draws

_FREE_POINTS = 0.5  # random points a ray at which the gradient's length is also asked for
_BATCH = 1024
_EIKONAL, _SHARPNESS = 0.02, 0.42


def fit(
    field: SdfField, points: SurfacePoints, config: TrainingConfig, draws: Draws, rays: int
) -> Phase:
    """Fit the distance field alone to the points, and sharpen it accordingly.

    Args:
        draws: Those of one process, so that all processes of a run do the same.
        rays: Of an iteration, in all processes.

    Returns:
        The levels and the sharpness that training begins with at least.
    """
    rates = config.optim.params
    start = config.model.object.sdf.encoding.coarse2fine.init_active_level
    active = min(start + points.reliance.fit_levels, field.grid.levels)
    rest = [p for p in field.parameters() if p is not field.grid.table]
    optimizer = without_compiler(torch.optim.Adam)(
        [{"params": rest, "lr": 5e-3}, {"params": [field.grid.table], "lr": rates.lr_encoding}],
        betas=(0.9, 0.99), fused=True,
    )  # fmt: skip
    for _ in range(points.reliance.fit_iterations):
        probe = field.probe(free_points(draws, rays), active)
        contradiction = points.loss(lambda x: field(x, active)[0], _BATCH, draws)
        loss = contradiction + _EIKONAL * losses.eikonal(probe.gradient)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Phase(active, _SHARPNESS)


def free_points(draws: Draws, rays: int) -> torch.Tensor:
    """Random points in the unit ball, [N, 3], for a batch of so many rays."""
    noise = draws.normal(max(1, int(rays * _FREE_POINTS)), 4)
    direction = torch.nn.functional.normalize(noise[:, :3], dim=1)
    radius = torch.special.ndtr(noise[:, 3:]).pow(1 / 3)
    return direction * radius
