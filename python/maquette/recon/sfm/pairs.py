"""Which pairs of pictures to match; pure functions of names, order and similarity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Pair = tuple[int, int]
Ranked = NDArray[np.int32]
Method = Literal["exhaustive", "alike", "sequential"]
Matcher = Literal["auto", "exhaustive", "sequential"]

EXHAUSTIVE_PHOTOS = 30  # above, every pair takes longer than it makes poses better
ALIKE_PHOTOS = 200
EXHAUSTIVE_FRAMES = 60
EXHAUSTIVE_AT_MOST = 400  # 80,000 pairs; beyond it stronger methods use wider neighbourhoods
OVERLAP = 10
NEIGHBOURS = 5
FEW_FRAMES = 300  # of a video: up to here its neighbours in time do, and a few that look alike
ALIKE, FRIENDS = 8, 8  # partners of a photo by look, then among the partners of these
BY_LOOK, BY_PLACE = 30, 20  # partners of a picture in larger sets, and where the order says little
_TILE = 10
_BLOCK = 256  # rows


def choose(matcher: Matcher, count: int, is_video: bool) -> Method:
    """Resolve `auto`: every pair of small sets, look-alikes, and in large ones neighbours too."""
    if matcher != "auto":
        return matcher
    if count <= (EXHAUSTIVE_FRAMES if is_video else EXHAUSTIVE_PHOTOS):
        return "exhaustive"
    return "alike" if not is_video and count <= ALIKE_PHOTOS else "sequential"


def exhaustive(count: int) -> list[Pair]:
    """Every pair once."""
    return in_tiles(combinations(range(count), 2))


def sequential(count: int, overlap: int = OVERLAP) -> list[Pair]:
    """Each picture with its next `overlap` ones, and with those 2, 4, 8 … 2^(overlap−1) later."""
    steps = {*range(1, overlap + 1), *(2**power for power in range(overlap))}
    return in_tiles((i, i + step) for i in range(count) for step in steps if i + step < count)


def neighbours_in_order(count: int, overlap: int = OVERLAP) -> list[Pair]:
    """Each picture with its next `overlap` ones."""
    return in_tiles((i, i + step) for i in range(count) for step in range(1, overlap + 1)
                    if i + step < count)  # fmt: skip


def similar(
    descriptors: NDArray[np.float32], neighbours: int = NEIGHBOURS, gap: int = OVERLAP
) -> list[Pair]:
    """Each picture with the `neighbours` most like it that are more than `gap` away in order.

    Args:
        descriptors: Unit-length global descriptors, [N, D].
    """
    return of_ranked(ranked_by_look(descriptors, neighbours, gap))


def ranked_by_look(descriptors: NDArray[np.float32], neighbours: int, gap: int = OVERLAP) -> Ranked:
    """Of each picture those most like it, the likest first, [N, K]; -1: there are no more.

    Those up to `gap` away in order are left out. A block of rows is compared at a time, so that
    memory grows with the pictures and not with their square.
    """
    order = np.arange(len(descriptors))

    def alike(first: int, last: int) -> NDArray[np.float32]:
        similarity = descriptors[first:last] @ descriptors.T  # [B, N]
        similarity[np.abs(order[first:last, None] - order[None, :]) <= gap] = -np.inf
        return np.asarray(similarity)

    return _ranked(len(descriptors), neighbours, alike)


def ranked_by_place(
    places: NDArray[np.float64], neighbours: int = BY_PLACE, gap: int = 0
) -> Ranked:
    """Of each picture those taken nearest to it, the nearest first, [N, K]; -1: there are no more.

    Args:
        places: Where each was taken, [N, D] metres; NaN: not known.
    """
    order = np.arange(len(places))

    def near(first: int, last: int) -> NDArray[np.float64]:
        square = sum((places[first:last, None, i] - places[None, :, i]) ** 2
                     for i in range(places.shape[1]))  # fmt: skip
        square = np.nan_to_num(np.asarray(square), nan=np.inf)  # [B, N]
        square[np.abs(order[first:last, None] - order[None, :]) <= gap] = np.inf
        return -square

    return _ranked(len(places), neighbours, near)


def of_ranked(ranked: Ranked) -> list[Pair]:
    """Each picture with all that are told of it."""
    found = {
        (min(i, int(j)), max(i, int(j))) for i, row in enumerate(ranked) for j in row if j >= 0
    }
    return in_tiles(found)


def _ranked(
    count: int, neighbours: int, score: Callable[[int, int], NDArray[np.floating]]
) -> Ranked:
    """The best of each row of scores, which are asked for by rows; -inf never counts."""
    kept = min(neighbours, count)
    ranked = np.full((count, kept), -1, np.int32)
    for first in range(0, count, _BLOCK):
        rows = score(first, min(first + _BLOCK, count))
        for i, row in enumerate(rows):
            best = np.argsort(-row, kind="stable")[:kept]
            ranked[first + i] = np.where(np.isfinite(row[best]), best, -1)
    return ranked


def in_tiles(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by square tiles, so that a batch touches few pictures."""
    return sorted(pairs, key=lambda pair: (pair[0] // _TILE, pair[1] // _TILE, pair))


def batches(pairs: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a list of pairs into pieces of `size`."""
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]
