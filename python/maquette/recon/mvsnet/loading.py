"""Batches of a source by the number of the iteration, read ahead in threads."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from maquette.errors import BadInput
from maquette.recon.mvsnet.samples import Batch, Sample, SampleSource

_AHEAD = 3  # batches that wait, or are being read, in a process
_SEEDS = 2**31


class Loader:
    """Batches in an order of each epoch's own; what is in one follows from its number alone.

    Args:
        batch_size: Samples of a batch, for each of `world` processes; this is the one of `rank`.
    """

    def __init__(
        self, source: SampleSource, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self._rank, self._world = rank, world
        self._order: tuple[int, list[int]] = (-1, [])
        self._waiting: dict[int, Future[list[Sample]]] = {}
        ahead = getattr(source, "reads_files", False)
        self._pool = ThreadPoolExecutor(_AHEAD, "samples") if ahead else None

    @property
    def steps(self) -> int:
        """Batches of an epoch; what is left over has its turn in others."""
        return max(1, len(self.source) // (self.batch_size * self._world))

    def batch(self, iteration: int, device: torch.device) -> Batch:
        """The batch of an iteration, counted from 0.

        Raises:
            BadInput: its pictures have not one size, or a file is damaged.
        """
        samples = self._taken(iteration)
        sizes = {(tuple(one.images.shape), tuple(one.depth.shape)) for one in samples}
        if len(sizes) > 1:
            raise different_sizes(samples)
        return Batch.stacked(samples, device)

    def _taken(self, iteration: int) -> list[Sample]:
        if self._pool is None:
            return self._read(self._places(iteration))
        for ahead in range(iteration, iteration + _AHEAD):
            if ahead not in self._waiting:
                self._waiting[ahead] = self._pool.submit(self._read, self._places(ahead))
        found = self._waiting.pop(iteration)
        self._waiting = {key: value for key, value in self._waiting.items() if key > iteration}
        return found.result()

    def _read(self, places: list[tuple[int, int]]) -> list[Sample]:
        return [self.source[place] for place in places]

    def _places(self, iteration: int) -> list[tuple[int, int]]:
        """Indices and seeds of this process's samples."""
        epoch, step = divmod(iteration, self.steps)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % _SEEDS)
            self._order = epoch, torch.randperm(len(self.source), generator=generator).tolist()
        order, whole = self._order[1], self.batch_size * self._world
        chosen = [order[(step * whole + place) % len(order)] for place in range(whole)]
        return [
            (index, (self.seed + 7919 * epoch + 104_729 * index) % _SEEDS)
            for index in chosen[self._rank :: self._world]
        ]


def different_sizes(samples: list[Sample]) -> BadInput:
    """The error of a batch whose pictures differ."""
    told = ", ".join(
        f"{one.name}: {one.images.shape[3]}×{one.images.shape[2]}" for one in samples[:4]
    )
    return BadInput(
        "pictures of different sizes can not be trained together",
        detail=told,
        hint="give pictures of one size, or BATCH_SIZE=1",
    )
