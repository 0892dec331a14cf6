"""What extraction asks of a trained surface, whichever engine trained it.

Frames: "unit" is the training space, in which the region's sphere is the unit ball.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maquette.scene.region import Region

FloatArray = NDArray[np.floating]


class Field(Protocol):
    """A signed distance with a colour."""

    def signed_distance(self, points_unit: FloatArray, /) -> FloatArray:
        """Distance to the surface [N], unit space, negative inside, at points [N, 3]."""

    def colors(self, points_unit: FloatArray, normals: FloatArray, /) -> FloatArray:
        """Colour of the surface seen head-on [N, 3], sRGB 0..1."""


class Surface(Field, Protocol):
    """A trained model of one region."""

    @property
    def region(self) -> Region: ...

    @property
    def iteration(self) -> int: ...
