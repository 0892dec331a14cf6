"""The level surface that a filmed thing stands on: ground, table or floor.

A ball round what the pictures show together is half ground where the thing is small in them. The
support is a plane with the cameras above it, about square to their common upwards direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TRIES = 300  # of three points each; with a third of points on the plane one in 27 hits it
_MOST_POINTS = 1500
_LEVEL = np.cos(np.radians(35.0))
_LEVEL_PRIOR = 0.02  # keeps cameras in one line from leaving the direction open
_ABOVE = 0.95  # of the cameras
_BELOW = 0.05  # of the points, at most: wrong ones
_ROUGHNESS = 0.01  # of the scale: what counts as on a smooth plane
_NOISE_SHARE = 0.95
_NOISE = 1.5
_THICKEST = 0.04  # of the scale: no plane, but a thing's own bottom


@dataclass(frozen=True)
class Plane:
    """Points x with normal · x = offset; `thickness` is how far ground reaches above it."""

    normal: Floats
    offset: float
    thickness: float

    def height(self, points: Floats) -> Floats:
        """Signed distance of points [..., 3], positive on the cameras' side."""
        return np.asarray(points @ self.normal - self.offset)


def upwards(world_from_cam: Floats) -> Floats:
    """The unit vector [3] that is up for cameras [N, 4, 4] that are mostly held level.

    It is square to the pictures' rows and, where these leave it open, against their columns.
    """
    across = world_from_cam[:, :3, 0]
    spread = across.T @ across / len(across) + _LEVEL_PRIOR * np.eye(3)
    up = np.linalg.solve(spread, -world_from_cam[:, :3, 1].mean(axis=0))
    return np.asarray(up / max(float(np.linalg.norm(up)), 1e-12))


def find(points: Floats, centers: Floats, up: Floats, scale: float) -> Plane | None:
    """The plane that most points [P, 3] lie on, if it is level and the cameras [N, 3] are above.

    Args:
        scale: Size of what is looked at; a hundredth of it is flat.
    Source: Fischler and Bolles, "Random sample consensus"; differs: triples are the same each
    time, and planes that are not level or that cameras stand below are never candidates.
    """
    random = np.random.default_rng(0)
    if len(points) < 3:
        return None
    some = points[random.permutation(len(points))[:_MOST_POINTS]]
    corners = some[random.integers(0, len(some), (_TRIES, 3))]  # [T, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals / np.maximum(length, 1e-300)[:, None]
    normals *= np.where(normals @ up < 0, -1, 1)[:, None]
    offsets = (normals * corners[:, 0]).sum(axis=1)
    above = (centers @ normals.T - offsets > 0).mean(axis=0)
    height = some @ normals.T - offsets  # [P, T]
    below = (height < -4 * _ROUGHNESS * scale).mean(axis=0)
    usable = (length > 0) & (normals @ up >= _LEVEL) & (above >= _ABOVE) & (below <= _BELOW)
    if not usable.any():
        return None
    near = (np.abs(height) <= 2 * _ROUGHNESS * scale).sum(axis=0)
    best = int(np.argmax(np.where(usable, near, -1)))
    return _refined(points, normals[best], float(offsets[best]), scale)


def _refined(points: Floats, normal: Floats, offset: float, scale: float) -> Plane | None:
    """Least squares through the points near it; its thickness from what lies below."""
    for _ in range(3):
        flat = points[np.abs(points @ normal - offset) <= 3 * _ROUGHNESS * scale]
        middle = flat.mean(axis=0)
        turned = np.linalg.svd(flat - middle, full_matrices=False)[2][2]
        normal = turned if turned @ normal > 0 else -turned
        offset = float(middle @ normal)
    height = points @ normal - offset
    below = -height[(height < 0) & (height > -10 * _ROUGHNESS * scale)]
    noise = float(np.quantile(below, _NOISE_SHARE)) if len(below) else 0.0
    thickness = max(_ROUGHNESS * scale, _NOISE * noise)
    return Plane(normal, offset, thickness) if thickness <= _THICKEST * scale else None
