"""Random numbers of a whole batch, of which each process of a run takes its share.

Every process draws the numbers of all of them and keeps every `world`-th row: n processes with
a batch of B / n each see exactly what one process with a batch of B sees.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Draws:
    """A seeded source of random numbers.

    Args:
        generator: Its state is the run's; all processes have the same one.
        rank, world: Which of how many processes this is.
    """

    def __init__(self, generator: torch.Generator, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world
        self._source: Any = {"generator": generator, "device": generator.device}

    def uniform(self, rows: int, columns: int) -> Tensor:
        """[rows, columns] float32 in 0..1."""
        return self._share(torch.rand(rows * self.world, columns, **self._source))

    def normal(self, rows: int, columns: int) -> Tensor:
        """[rows, columns] float32, standard normal."""
        return self._share(torch.randn(rows * self.world, columns, **self._source))

    def integers(self, limit: int, rows: int) -> Tensor:
        """[rows] int64 in 0..limit-1."""
        return self._share(torch.randint(limit, (rows * self.world,), **self._source))

    def _share(self, whole: Tensor) -> Tensor:
        return whole[self.rank :: self.world].contiguous()


def uniform(draws: Draws | None, rows: int, columns: int, device: torch.device) -> Tensor:
    """[rows, columns] in 0..1; without a source all are 0.5."""
    if draws is None:
        return torch.full((rows, columns), 0.5, device=device)
    return draws.uniform(rows, columns)
