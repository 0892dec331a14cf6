"""The region of interest: a sphere and a box in world units.

Frames: "world" is COLMAP's world; "unit" is the training space in which the sphere is the
unit ball, `x_unit = (x_world - center) / radius`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.errors import BadInput

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """Sphere and axis-aligned box, world units.

    Attributes:
        center: Sphere centre, 3 floats.
        radius: Sphere radius, positive.
        box: 3 × (min, max).
    """

    center: tuple[float, float, float]
    radius: float
    box: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    def __post_init__(self) -> None:
        numbers = np.array([*self.center, self.radius, *np.ravel(self.box)], dtype=np.float64)
        if not np.isfinite(numbers).all() or self.radius <= 0:
            raise BadInput(f"the region is not usable: center {self.center}, radius {self.radius}")
        if any(low >= high for low, high in self.box):
            raise BadInput(f"the region's box is empty: {self.box}")

    @classmethod
    def around(cls, center: ArrayLike, radius: float, box: ArrayLike | None = None) -> Region:
        """Build a region from arrays; without `box` [3, 2], the box that holds the sphere."""
        middle = np.asarray(center, dtype=np.float64)
        if box is None:
            box = np.stack([middle - radius, middle + radius], axis=1)
        limits = np.asarray(box, dtype=np.float64)
        return cls(
            center=(float(middle[0]), float(middle[1]), float(middle[2])),
            radius=float(radius),
            box=tuple((float(low), float(high)) for low, high in limits),  # type: ignore[arg-type]
        )

    @property
    def digest(self) -> str:
        """A hash that changes when the region changes by more than rounding (1e-9 relative)."""
        return _digest([*self.center, self.radius, *np.ravel(self.box).tolist()])

    @property
    def sphere_digest(self) -> str:
        """The same of the sphere alone, which is all that training depends on."""
        return _digest([*self.center, self.radius])

    @property
    def middle(self) -> FloatArray:
        """The middle [3] of the box, as far as it lies in the sphere's; world units."""
        return self.world_from_unit(self.unit_box().mean(axis=1))

    @property
    def half_width(self) -> float:
        """Half of that box's widest side; the radius where box and sphere do not meet."""
        share = float(np.ptp(self.unit_box(), axis=1).max()) / 2
        return self.radius * (share or 1.0)

    def unit_from_world(self, points: ArrayLike) -> FloatArray:
        """Map world points [..., 3] to training space."""
        return (np.asarray(points, dtype=np.float64) - np.asarray(self.center)) / self.radius

    def world_from_unit(self, points: ArrayLike) -> FloatArray:
        """Map training-space points [..., 3] to the world."""
        return np.asarray(points, dtype=np.float64) * self.radius + np.asarray(self.center)

    def widened(self, factor: float) -> Region:
        """The same sphere and box, larger by a factor about their middles."""
        box = np.asarray(self.box)
        middle, half = box.mean(1, keepdims=True), np.ptp(box, axis=1)[:, None] / 2
        wider = np.concatenate([middle - factor * half, middle + factor * half], axis=1)
        return Region.around(self.center, factor * self.radius, wider)

    def unit_box(self) -> FloatArray:
        """The box in training space, clipped to [-1, 1]; [3, 2] (min, max per axis)."""
        corners = self.unit_from_world(np.asarray(self.box).T)  # [2, 3]
        return np.clip(corners.T, -1.0, 1.0)

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Which world points [..., 3] lie in both sphere and box."""
        world = np.asarray(points, dtype=np.float64)
        limits = np.asarray(self.box)
        in_box = ((world >= limits[:, 0]) & (world <= limits[:, 1])).all(axis=-1)
        in_ball: NDArray[np.bool_] = np.linalg.norm(self.unit_from_world(world), axis=-1) <= 1.0
        return in_box & in_ball


def _digest(numbers: Sequence[float]) -> str:
    text = json.dumps([f"{number:.9e}" for number in numbers])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
