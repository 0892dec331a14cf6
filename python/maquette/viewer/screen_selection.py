"""Which points lie in an area of a window: a rectangle or a lasso drawn on the screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maquette.viewer.editing import View

Place = tuple[float, float]


def on_screen(points: NDArray[np.float64], eye: View) -> NDArray[np.float64]:
    """Where a window draws points [P, 3], [P, 2]: (0, 0) its top left, (1, 1) its bottom right.

    NaN for what lies behind the camera.
    """
    local = (points - eye.position) @ eye.rotation  # camera: x right, y down, z forward
    depth = np.where(local[:, 2] > 0, local[:, 2], np.nan)[:, None]
    half = np.tan(eye.fov_y / 2) * np.array([eye.aspect, 1.0])
    return np.asarray(0.5 + 0.5 * local[:, :2] / depth / half)


def in_rectangle(places: NDArray[np.float64], one: Place, other: Place) -> NDArray[np.bool_]:
    """Which places [P, 2] lie in the rectangle between two corners, [P]."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.asarray(((places >= low) & (places <= high)).all(axis=1))


def in_polygon(places: NDArray[np.float64], corners: Sequence[Place]) -> NDArray[np.bool_]:
    """Which places [P, 2] lie in a polygon, also one that crosses itself (even-odd rule), [P]."""
    inside = np.zeros(len(places), bool)
    x, y = places.T
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        if ay == by:
            continue  # no ray along x meets it
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return inside
