"""Which points hang together: neighbours on a grid, without any tree or graph library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FAR = 1 << 20  # cells along an axis
_SMALLEST_CELL = 0.2  # of the scale
_SIZES = 5  # up to 0.8 of it


def hanging_together(
    points: Floats, seeds: NDArray[np.bool_], scale: float, smallest: float, share: float
) -> NDArray[np.bool_]:
    """Points [P, 3] that chains of neighbouring cells join to most of the seeds [P], [P].

    Cells grow from a fifth of the scale until the groups that hang together and have a share
    `smallest` of the seeds or more hold `share` of all seeds: points lie as close as features do.
    """
    middle = np.median(points[seeds], axis=0)
    kept = np.ones(len(points), bool)
    for cell in scale * _SMALLEST_CELL * np.sqrt(2.0) ** np.arange(_SIZES):
        keys, of_point = _cells(points - middle, cell)
        group = _groups(keys)[of_point]
        part = np.bincount(group[seeds], minlength=group.max() + 1) / seeds.sum()
        kept = part[group] >= smallest
        if kept[seeds].mean() >= share:
            break
    return kept


def _cells(points: Floats, cell: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    half = _FAR // 2 - 2
    places = np.floor(points / cell).clip(-half, half).astype(np.int64) + half + 1
    numbers = (places[:, 0] * _FAR + places[:, 1]) * _FAR + places[:, 2]
    keys, of_point = np.unique(numbers, return_inverse=True)
    return keys, of_point.ravel()


def _groups(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the connected group of each cell, [C]; 26 neighbours."""
    steps = np.array(
        [(x * _FAR + y) * _FAR + z for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
    )
    steps = steps[steps > 0]  # the others are the same pairs
    first, second = [], []
    for step in steps:
        at = np.searchsorted(keys, keys + step).clip(max=len(keys) - 1)
        found = np.flatnonzero(keys[at] == keys + step)
        first.append(found)
        second.append(at[found])
    one, other = np.concatenate(first), np.concatenate(second)
    label = np.arange(len(keys))
    while True:
        before = label.copy()
        lowest = np.minimum(label[one], label[other])
        np.minimum.at(label, one, lowest)
        np.minimum.at(label, other, lowest)
        label = label[label]
        if (label == before).all():
            return label
