"""A factor for each photograph and channel that makes all of one exposure and white balance.

A face of the mesh has one colour, so the logarithms of its colours in two photographs differ by
those of the two factors: least squares over all faces, the faces' own colours eliminated, with
Huber's weights against highlights and people walking by. An exposure is a factor of the light,
and nearly one of sRGB values too, which are about a power of it. Method: the gain compensation
of Brown and Lowe, "Automatic panoramic image stitching using invariant features", IJCV 2007,
with faces in the place of overlaps; differs: in logarithms, so that it is linear.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from maquette.recon.texture.candidates import Candidates

_USABLE = 12, 248  # of 255: values between are neither black nor burnt out
_MOST_FACES = 60_000
_ROUNDS = 5
_HUBER = 0.05  # of the logarithm: about 5 %
_LOW, _HIGH = 0.5, 2.0
_PRIOR = 1e-3  # towards a factor of 1, in faces' share


def find_gains(candidates: Candidates, views: int) -> NDArray[np.float32]:
    """Factors [N, 3] on the sRGB values of each view; their geometric mean is 1."""
    gains = np.ones((views, 3), np.float32)
    several = np.flatnonzero((candidates.quality > 0).sum(axis=1) >= 2)
    several = several[:: max(1, len(several) // _MOST_FACES)]
    for channel in range(3):
        gains[:, channel] = _find_channel(
            candidates.view[several], candidates.color[several, :, channel], views
        )
    return gains


def compensated(candidates: Candidates, gains: NDArray[np.float32]) -> Candidates:
    """The candidates with their colours multiplied by the factors of their views."""
    color = candidates.color * gains[candidates.view]
    color = np.clip(np.rint(color), 0, 255).astype(np.uint8)
    return Candidates(candidates.view, candidates.quality, color)


def _find_channel(
    view: NDArray[np.int16], value: NDArray[np.uint8], views: int
) -> NDArray[np.float64]:
    usable = (view >= 0) & (value >= _USABLE[0]) & (value <= _USABLE[1])
    usable &= (usable.sum(axis=1) >= 2)[:, None]
    if not usable.any():
        return np.ones(views)
    face = np.nonzero(usable)[0]
    column, log = view[usable].astype(np.int64), np.log(value[usable].astype(np.float64))
    weight, gain = np.ones(len(log)), np.zeros(views)
    for _ in range(_ROUNDS):
        gain = _solve(face, column, log, weight, (len(view), views))
        rest = log + gain[column]
        sums = np.bincount(face, weight, len(view))
        mean = np.bincount(face, weight * rest, len(view)) / np.maximum(sums, 1e-12)
        off = np.abs(rest - mean[face])
        weight = np.minimum(1.0, _HUBER / np.maximum(off, 1e-12))
    return np.clip(np.exp(gain), _LOW, _HIGH)


def _solve(
    face: NDArray[np.int64], column: NDArray[np.int64], log: NDArray[np.float64],
    weight: NDArray[np.float64], shape: tuple[int, int],
) -> NDArray[np.float64]:  # fmt: skip
    """Logarithms [N] of the factors that minimise the weighted scatter within each face."""
    faces, views = shape
    W = coo_array((weight, (face, column)), shape).tocsr()
    per_face = np.maximum(np.bincount(face, weight, faces), 1e-12)
    per_view = np.bincount(column, weight, views)
    mean = np.bincount(face, weight * log, faces) / per_face
    A = np.diag(per_view) - (W.T @ W.multiply(1.0 / per_face[:, None]).tocsr()).toarray()
    A += np.diag(np.full(views, max(_PRIOR * per_view.mean(), 1e-9)))
    right = np.bincount(column, weight * (mean[face] - log), views)
    gain = np.linalg.solve(A, right)
    return np.asarray(gain - gain[per_view > 0].mean())
