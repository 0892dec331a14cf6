"""Samples of generated scenes in order, their layouts made ahead by processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count

from maquette.recon.mvsnet.generated.layout import Layout
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.samples import Sample

_AHEAD = 4  # layouts of each process


def samples(source: GeneratedScenes, seed: int, first: int, workers: int = 0) -> Iterator[Sample]:
    """Samples `first`, `first` + 1 … of a seed, without end.

    Args:
        workers: Processes that lay scenes out; 0: this one does, between two samples.
    """
    if not workers:
        for index in count(first):
            yield source[index, seed]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[tuple[tuple[int, int], Future[Layout]]] = deque()
        for index in count(first):
            place = index, seed
            waiting.append((place, pool.submit(source.laid_out, place)))
            if len(waiting) >= workers * _AHEAD:
                place, layout = waiting.popleft()
                yield source.rendered(layout.result(), place)
