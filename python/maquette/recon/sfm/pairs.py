"""Which pairs of pictures to match; pure functions of names, order and similarity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Pair = tuple[int, int]
Method = Literal["exhaustive", "sequential"]
Matcher = Literal["auto", "exhaustive", "sequential"]

EXHAUSTIVE_PHOTOS = 200
EXHAUSTIVE_FRAMES = 60
EXHAUSTIVE_AT_MOST = 400  # 80,000 pairs; beyond it stronger methods use wider neighbourhoods
OVERLAP = 10
NEIGHBOURS = 5
_TILE = 10


def choose(matcher: Matcher, count: int, is_video: bool) -> Method:
    """Resolve `auto`: every pair for small sets, neighbours and look-alikes for large ones."""
    if matcher != "auto":
        return matcher
    limit = EXHAUSTIVE_FRAMES if is_video else EXHAUSTIVE_PHOTOS
    return "exhaustive" if count <= limit else "sequential"


def exhaustive(count: int) -> list[Pair]:
    """Every pair once."""
    return in_tiles(combinations(range(count), 2))


def sequential(count: int, overlap: int = OVERLAP) -> list[Pair]:
    """Each picture with its next `overlap` ones, and with those 2, 4, 8 … 2^(overlap−1) later."""
    steps = {*range(1, overlap + 1), *(2**power for power in range(overlap))}
    return in_tiles((i, i + step) for i in range(count) for step in steps if i + step < count)


def similar(
    descriptors: NDArray[np.float32], neighbours: int = NEIGHBOURS, gap: int = OVERLAP
) -> list[Pair]:
    """Each picture with the `neighbours` most like it that are more than `gap` away in order.

    Args:
        descriptors: Unit-length global descriptors, [N, D].
    """
    similarity = descriptors @ descriptors.T  # [N, N]
    order = np.arange(len(descriptors))
    similarity[np.abs(order[:, None] - order[None, :]) <= gap] = -np.inf
    found = set()
    for i, row in enumerate(similarity):
        best = np.argsort(-row, kind="stable")[:neighbours]
        found |= {(min(i, int(j)), max(i, int(j))) for j in best if np.isfinite(row[j])}
    return in_tiles(found)


def in_tiles(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by square tiles, so that a batch touches few pictures."""
    return sorted(pairs, key=lambda pair: (pair[0] // _TILE, pair[1] // _TILE, pair))


def batches(pairs: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a list of pairs into pieces of `size`."""
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]
