"""The plane that the ground is, seen from cameras above it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TRIES = 500  # of three points each
_MOST_POINTS = 4000
_FLAT = 0.02  # of the cameras' usual distance to the points: hills, grass and noise
_LEVEL = np.cos(np.radians(25.0))
_LEAST_SHARE = 0.2  # of the points, or there is no plane to speak of
_ABOVE = 0.95  # of the cameras
_ROUNDS = 4


@dataclass(frozen=True)
class Ground:
    """Points x with up · x = offset.

    Attributes:
        up: Its normal on the cameras' side, [3], world frame.
        share: Of the points that lie near it.
        heights: [N] the cameras' heights above it, world units.
    """

    up: Floats
    offset: float
    share: float
    heights: Floats

    @property
    def height(self) -> float:
        """The usual camera's height above it, world units."""
        return float(np.median(self.heights))


def find(points: Floats, centers: Floats, up: Floats) -> Ground | None:
    """The plane that most points [P, 3] lie on, within 25° of level; None where there is none.

    Args:
        centers: Of the cameras, [N, 3]; nearly all stand above it.
        up: What is up as far as is known, [3].
    Source: M. Fischler and R. Bolles, "Random sample consensus", 1981; differs: the triples are
    the same each time, and planes that are not level never stand for election.
    """
    if len(points) < 20:
        return None
    random = np.random.default_rng(0)
    some = points[random.permutation(len(points))[:_MOST_POINTS]]
    away = np.linalg.norm(some - centers[random.integers(0, len(centers), len(some))], axis=1)
    near = _FLAT * float(np.median(away))
    corners = some[random.integers(0, len(some), (_TRIES, 3))]  # [T, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals / np.maximum(lengths, 1e-300)[:, None]
    normals *= np.where(normals @ up < 0, -1.0, 1.0)[:, None]
    offsets = (normals * corners[:, 0]).sum(axis=1)
    above = (centers @ normals.T > offsets).mean(axis=0)
    usable = (lengths > 0) & (normals @ up >= _LEVEL) & (above >= _ABOVE)
    if not usable.any():
        return None
    support = (np.abs(some @ normals.T - offsets) <= near).sum(axis=0)
    best = int(np.argmax(np.where(usable, support, -1)))
    return _refined(points, centers, normals[best], float(offsets[best]), near)


def _refined(
    points: Floats, centers: Floats, up: Floats, offset: float, near: float
) -> Ground | None:
    """Least squares through the points near it."""
    share = 0.0
    for _ in range(_ROUNDS):
        flat = points[np.abs(points @ up - offset) <= near]
        share = len(flat) / len(points)
        if share < _LEAST_SHARE:
            return None
        middle = flat.mean(axis=0)
        turned = np.linalg.svd(flat - middle, full_matrices=False)[2][2]
        up = turned if turned @ up > 0 else -turned
        offset = float(middle @ up)
    return Ground(up, offset, share, centers @ up - offset)
