"""Align two clouds of corresponding points by a similarity.

Notation: `x` are source points, `y` target points, y ≈ s R x + t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.errors import BadInput

FloatArray = NDArray[np.float64]
_SAMPLES = 400
_REFITS = 5
_KEPT_SIGMAS = 4.0


@dataclass(frozen=True)
class Similarity:
    """Maps points to `scale * rotation @ point + translation`."""

    scale: float
    rotation: FloatArray  # [3, 3]
    translation: FloatArray  # [3]

    def apply(self, points: ArrayLike) -> FloatArray:
        """Map points [..., 3]."""
        moved = self.scale * (np.asarray(points, dtype=np.float64) @ self.rotation.T)
        return moved + self.translation


def fit_similarity(source: FloatArray, target: FloatArray) -> Similarity:
    """Least-squares similarity of corresponding points [N, 3].

    Raises:
        BadInput: the points are too few or coincide, so that the scale is undefined.
    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", 1991, eq. 40-43.
    """
    x_mean, y_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = source - x_mean, target - y_mean
    variance = (x**2).sum() / len(x)
    if len(source) < 3 or variance <= 1e-24 * max(1.0, float((source**2).max())):
        raise BadInput("the cameras can not be aligned: three different positions are needed")
    u, d, vt = np.linalg.svd(y.T @ x / len(x))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = u @ np.diag(signs) @ vt
    scale = float((d * signs).sum() / variance)
    return Similarity(scale, rotation, y_mean - scale * rotation @ x_mean)


def align_robustly(source: FloatArray, target: FloatArray, seed: int = 0) -> Similarity:
    """Similarity of corresponding points [N, 3] of which fewer than half may be wrong.

    Triples of points propose; the proposal with the least median residual wins, and is refitted
    to the points within 4 robust standard deviations of it.

    Source: P. Rousseeuw, "Least median of squares regression", 1984.
    """
    best = fit_similarity(source, target)
    best_score = _median_residual(best, source, target)
    random = np.random.default_rng(seed)
    for _ in range(_SAMPLES if len(source) > 3 else 0):
        chosen = random.choice(len(source), 3, replace=False)
        proposal = _propose(source[chosen], target[chosen])
        if proposal and (score := _median_residual(proposal, source, target)) < best_score:
            best, best_score = proposal, score
    return _refit(best, source, target)


def _propose(source: FloatArray, target: FloatArray) -> Similarity | None:
    try:
        return fit_similarity(source, target)
    except BadInput:
        return None


def _refit(start: Similarity, source: FloatArray, target: FloatArray) -> Similarity:
    floor = 1e-9 * float(np.ptp(target, axis=0).max())
    fitted = start
    for _ in range(_REFITS):
        residual = residuals(fitted, source, target)
        limit = _KEPT_SIGMAS * 1.4826 * float(np.median(residual)) + floor
        kept = residual <= limit
        if kept.sum() < 3:
            return fitted
        fitted = fit_similarity(source[kept], target[kept])
    return fitted


def residuals(similarity: Similarity, source: FloatArray, target: FloatArray) -> FloatArray:
    """Distances [N] between mapped source points and target points."""
    distance: FloatArray = np.linalg.norm(similarity.apply(source) - target, axis=1)
    return distance


def _median_residual(similarity: Similarity, source: FloatArray, target: FloatArray) -> float:
    return float(np.median(residuals(similarity, source, target)))
