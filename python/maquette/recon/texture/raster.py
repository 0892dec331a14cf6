"""Which texels the triangles of a page cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TEXELS_AT_ONCE = 1 << 21  # that are looked at
_SLACK = 1e-6  # of a triangle: a centre on an edge belongs to both sides


@dataclass(frozen=True)
class Covered:
    """Texels of triangles, N in all.

    Attributes:
        triangle: [N] which one.
        row, column: [N].
        weights: [N, 3] float32, barycentric, of the corners at the texel's centre.
    """

    triangle: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weights: NDArray[np.float32]


def cover(corners: NDArray[np.float64]) -> Iterator[Covered]:
    """Texels whose centres lie in triangles [T, 3, 2], in chunks of bounded memory.

    A triangle without any gets the texel in which its middle lies.
    """
    low = np.ceil(corners.min(axis=1) - 0.5).astype(np.int64)
    high = np.floor(corners.max(axis=1) - 0.5).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    before = np.concatenate([[0], np.cumsum(extent.prod(axis=1) + 1)])
    first = 0
    while first < len(corners):
        end = int(np.searchsorted(before, before[first] + _TEXELS_AT_ONCE, side="right")) - 1
        end = min(max(end, first + 1), len(corners))
        yield _cover(corners[first:end], low[first:end], extent[first:end], first)
        first = end


def _cover(
    corners: NDArray[np.float64], low: NDArray[np.int64], extent: NDArray[np.int64], first: int
) -> Covered:
    count = extent.prod(axis=1)
    triangle = np.repeat(np.arange(len(corners)), count)
    place = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    wide = extent[triangle, 0]
    column = low[triangle, 0] + place % np.maximum(wide, 1)
    row = low[triangle, 1] + place // np.maximum(wide, 1)
    weights = _barycentric(corners, triangle, column + 0.5, row + 0.5)
    inside = (weights >= -_SLACK).all(axis=1)
    has_any = np.zeros(len(corners), bool)
    has_any[triangle[inside]] = True
    bare = np.flatnonzero(~has_any)
    middle = np.floor(corners[bare].mean(axis=1)).astype(np.int64)
    third = np.full((len(bare), 3), 1 / 3, np.float32)
    return Covered(
        np.concatenate([triangle[inside], bare]) + first,
        np.concatenate([row[inside], middle[:, 1]]),
        np.concatenate([column[inside], middle[:, 0]]),
        np.concatenate([weights[inside].astype(np.float32), third]),
    )


def _barycentric(
    corners: NDArray[np.float64], triangle: NDArray[np.int64], x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Weights [N, 3] of the corners at points; NaN in a triangle without area."""
    a, b, c = (corners[:, k] for k in range(3))
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(area == 0, np.nan, 1.0 / area)
    px, py = x - a[triangle, 0], y - a[triangle, 1]
    abt, act = ab[triangle], ac[triangle]
    v = (px * act[:, 1] - py * act[:, 0]) * scale[triangle]
    w = (abt[:, 0] * py - abt[:, 1] * px) * scale[triangle]
    return np.stack([1 - v - w, v, w], axis=1)
