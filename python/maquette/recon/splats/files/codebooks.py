"""Codebooks: few values, or few vectors, that stand for many (k-means)."""

from __future__ import annotations

import heapq

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]
_ROUNDS_OF_VALUES, _ROUNDS_OF_VECTORS = 30, 8
_ROWS_AT_ONCE = 1 << 14
_MOST_VALUES = 1 << 20  # more tell a codebook nothing new


def values_codebook(values: Floats, size: int = 256) -> Floats:
    """Values [size], ascending, that stand for `values` (of any shape) with little error.

    Lloyd's rounds; a value that stands for none stays where it is.
    """
    flat = np.sort(values.reshape(-1).astype(np.float64))
    flat = flat[:: max(1, len(flat) // _MOST_VALUES)]
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    book = _start(flat, size)
    for _ in range(_ROUNDS_OF_VALUES):
        edges = np.searchsorted(flat, (book[1:] + book[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [len(flat)]])
        counts = np.diff(bounds)
        means = np.diff(sums[bounds]) / np.maximum(counts, 1)
        book = np.where(counts > 0, means, book)
    return book.astype(np.float32)


def nearest_values(values: Floats, book: Floats) -> NDArray[np.uint8]:
    """For each of `values` the place in an ascending codebook of the nearest, same shape."""
    middles = (book[1:] + book[:-1]) / 2
    return np.searchsorted(middles, values).astype(np.uint8)


def vectors_codebook(vectors: Tensor, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most `size` vectors that stand for `vectors` [N, D], and which one does for each, [N].

    K-means in two levels, √size clusters and in each of them as many as its share of the vectors:
    the work is N·√size and not N·size, which for 60,000 vectors would take hours.
    """
    draws = torch.Generator().manual_seed(seed)
    if len(vectors) <= size:
        return vectors, torch.arange(len(vectors))
    coarse = max(1, round(size**0.5))
    _, cluster = _k_means(vectors, coarse, draws)
    centres: list[Tensor] = []
    labels = torch.empty(len(vectors), dtype=torch.int64)
    used = 0
    for number in range(coarse):
        members = (cluster == number).nonzero()[:, 0]
        share = max(1, size * len(members) // len(vectors))
        share = min(share, len(members), size - used - (coarse - number - 1))
        if not len(members):
            continue
        own, which = _k_means(vectors[members], max(share, 1), draws)
        centres.append(own)
        labels[members] = used + which
        used += len(own)
    return torch.cat(centres), labels


def _start(flat: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Means [size] of parts of ascending values; the part of the largest error is cut in two.

    The first part begins as all values, and each cut is at the part's mean.
    """
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(flat))])

    def part(first: int, end: int) -> tuple[float, int, int, float]:
        total, mean = sums[end] - sums[first], (sums[end] - sums[first]) / (end - first)
        return float(total * mean - squares[end] + squares[first]), first, end, float(mean)

    parts = [part(0, len(flat))]
    while len(parts) < size:
        _, first, end, mean = parts[0]
        middle = first + int(np.searchsorted(flat[first:end], mean, "right"))
        if middle in (first, end):
            break
        heapq.heapreplace(parts, part(first, middle))
        heapq.heappush(parts, part(middle, end))
    means = sorted(mean for *_, mean in parts)
    return np.array(means + means[-1:] * (size - len(means)))


def _k_means(vectors: Tensor, size: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres [size, D] and the nearest one of each vector; an empty cluster keeps its centre."""
    centres = vectors[torch.randperm(len(vectors), generator=draws)[:size]].clone()
    if len(centres) == 1:
        return vectors.mean(dim=0, keepdim=True), torch.zeros(len(vectors), dtype=torch.int64)
    labels = _nearest(vectors, centres)
    for _ in range(_ROUNDS_OF_VECTORS):
        counts = torch.bincount(labels, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, labels, vectors)
        means = sums / counts.clamp_min(1)[:, None]
        centres = torch.where((counts > 0)[:, None], means, centres)
        labels = _nearest(vectors, centres)
    return centres, labels


def _nearest(vectors: Tensor, centres: Tensor) -> Tensor:
    half_squares = centres.square().sum(dim=1) / 2
    return torch.cat(
        [
            (half_squares - part @ centres.T).argmin(dim=1)
            for part in torch.split(vectors, _ROWS_AT_ONCE)
        ]
    )
