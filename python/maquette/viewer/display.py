"""Between world and display, the units of a page.

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
