"""The sparse points on a page: as many as its windows draw quickly, well chosen."""

from __future__ import annotations

import numpy as np
import viser
from numpy.typing import NDArray

from maquette.scene.region import FloatArray, Region
from maquette.scene.thinning import choose
from maquette.viewer.display import Display

FEW_DRAWN = 20_000  # points, at first: graphics in software take a second for 200,000
MOST_UNASKED = 1_000_000  # points: 15 MB to send
_STEPS = (FEW_DRAWN, 100_000, MOST_UNASKED)
_MOST_FAR = 25.0  # display units: points beyond are left out, or the scene looks like a dot


class Cloud:
    """The points: those in the region in their colours, the others pale or hidden."""

    def __init__(
        self,
        server: viser.ViserServer,
        display: Display,
        points: FloatArray,
        colors: NDArray[np.uint8],
    ) -> None:
        self._server = server
        self._world, self._colors = points, colors
        self._shown = display.points(points)
        self._near = np.linalg.norm(self._shown, axis=1) < _MOST_FAR
        self._inside: NDArray[np.bool_] | None = None
        self._chosen: NDArray[np.bool_] | None = None
        self._most = FEW_DRAWN
        self.size, self.hides_outside = 0.006, False

    def steps(self) -> list[int]:
        """How many points can be drawn, fewest first; the last step is all."""
        every = int(self._near.sum())
        return [*(step for step in _STEPS if step < every), every]

    def thin(self, most: int) -> None:
        """From the next drawing on, draw at most this many."""
        self._most, self._chosen = most, None

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Which points are shown, wherever a window looks, thinned out ones counted in, [P]."""
        if self.hides_outside and self._inside is not None:
            return self._near & self._inside
        return self._near

    def draw(self, region: Region) -> None:
        """Send the points as this region divides them."""
        self._inside = region.contains(self._world)
        if self._chosen is None:  # else they stay, so that a drag makes none jump
            self._chosen = choose(self._inside & self._near, ~self._inside & self._near, self._most)
        pale = (0.3 * self._colors + 0.7 * 235).astype(np.uint8)
        self._send("/points/inside", self._inside & self._chosen, self._colors, self.size)
        outside = ~self._inside & self._chosen & (not self.hides_outside)
        self._send("/points/outside", outside, pale, 0.6 * self.size)

    def _send(
        self, name: str, chosen: NDArray[np.bool_], colors: NDArray[np.uint8], size: float
    ) -> None:
        self._server.scene.add_point_cloud(
            name,
            self._shown[chosen],
            colors[chosen],
            point_size=size,
            point_shape="circle",
            precision="float32",
            point_shading="flat",
        )
