"""How Gaussians are added, moved and removed while photographs train them."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.renderings import Footprints
from maquette.recon.splats.schedule import Schedule
from maquette.recon.training.process_group import ProcessGroup


class Strategy(Protocol):
    """An exchangeable part of the trainer; what it remembers is part of the run's state."""

    def gradients(self, splats: Gaussians, found: dict[str, Tensor]) -> None:
        """Add its own wishes to the gradients, in place."""

    def look(self, footprints: Footprints) -> None:
        """Note what one photograph of a step says, after its backward pass."""

    def after_step(
        self, splats: Gaussians, optimiser: SparseAdam, photos: int, rate: float
    ) -> Gaussians:
        """Put together what all processes noted in a step, and change the set when it is time.

        Args:
            photos: Photographs trained with, those of this step included.
            rate: Learning rate of the means.
        """

    schedule: Schedule

    def choose(self, rows: Tensor) -> None:
        """Keep what is remembered of these rows only."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def make(
    name: str, schedule: Schedule, count: int, generator: torch.Generator,
    processes: ProcessGroup | None = None,
) -> Strategy:  # fmt: skip
    """The strategy of a name, for a set of `count` Gaussians."""
    from maquette.recon.splats.classic import Classic
    from maquette.recon.splats.mcmc import MarkovChain

    kind = MarkovChain if name == "mcmc" else Classic
    return kind(schedule, count, generator, processes)
