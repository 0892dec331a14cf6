"""Between the scene's world and a page's: its units, and rotations as quaternions.

"Display" is the unit space of the region when the page opened, so that scenes of any size look
alike and fit the browser's number range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.scene.region import FloatArray, Region


@dataclass(frozen=True)
class Display:
    """Converts between world and display."""

    origin: Region

    def points(self, world: ArrayLike) -> NDArray[np.float32]:
        return self.origin.unit_from_world(world).astype(np.float32)

    def world(self, display: ArrayLike) -> FloatArray:
        return self.origin.world_from_unit(display)

    def length(self, world: float) -> float:
        return world / self.origin.radius


def quaternions(matrices: FloatArray) -> FloatArray:
    """Convert rotations [N, 3, 3] to unit quaternions [N, 4], w x y z.

    The largest component is computed first, so that none is divided by a small number.
    """
    m = np.asarray(matrices, dtype=np.float64)
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], 1)
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    products = np.stack(
        [
            np.stack([squares[:, 0], wx, wy, wz], axis=1),
            np.stack([wx, squares[:, 1], xy, xz], axis=1),
            np.stack([wy, xy, squares[:, 2], yz], axis=1),
            np.stack([wz, xz, yz, squares[:, 3]], axis=1),
        ],
        axis=1,
    )  # [N, 4, 4]: row k is 4 q_k q
    best = products[np.arange(len(m)), squares.argmax(axis=1)]
    return best / np.linalg.norm(best, axis=1, keepdims=True)
