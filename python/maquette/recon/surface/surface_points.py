"""What training asks of points that tell where the surface is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from maquette.recon.training.draws import Draws


@dataclass(frozen=True)
class Reliance:
    """How much training relies on points.

    Attributes:
        weight: Of their loss at the start, as a factor on `trainer.loss_weight.landmark`.
        rest: The share of it to which it falls while the shape changes.
        per_ray: How many are asked for each ray of a batch.
        fit_iterations: Of the fit to them alone, before any photograph counts.
        fit_levels: Encoding levels that this fit uses besides those of the start.
        is_whole: They show all of the surface, which then takes fewer iterations.
    """

    weight: float
    rest: float
    per_ray: float
    fit_iterations: int
    fit_levels: int
    is_whole: bool = False


class SurfacePoints(Protocol):
    """Points in unit space, sparse or dense."""

    @property
    def described(self) -> str:
        """What and how many they are, in a few words."""

    @property
    def reliance(self) -> Reliance:
        """How much training relies on them."""

    def loss(self, distance: Callable[[Tensor], Tensor], count: int, draws: Draws) -> Tensor:
        """How far a distance field [N, 3] -> [N] contradicts `count` random ones; a scalar."""
