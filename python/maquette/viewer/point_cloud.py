"""The sparse points on a page: as many as its windows draw quickly, found by timing frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

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
_ANSWERS = 6  # the first ones may come while frames that were asked for before are still drawn
_QUICK_S, _SLOW_S = 0.1, 0.3  # a frame that allows more points, one that wants fewer
_TRIES, _PATIENCE_S = 6, 10.0  # for an answer; a window in the background gives none
_MOST_SHOWING_S = 3.0  # after an answer, for a window that answered before it drew
_REST_S = 2.0  # after opening, in which a person sees what is there
_UNSEEN = 1e-4  # of the field of view: less than a tenth of a pixel


class PointCloud:
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


class BrowserWindow:
    """A browser window that answers a change of its camera, between two frames."""

    def __init__(self, server: viser.ViserServer, client: viser.ClientHandle) -> None:
        self._server, self._id, self._camera = server, client.client_id, client.camera
        self._heard, self._factor = threading.Condition(), 1 + _UNSEEN
        client.camera.on_update(self._hear)

    def wait_until_drawn(self) -> bool:
        """Come back when it has drawn what it was sent before, and had as long again to show it.

        It is asked twice: the first answer may come before it begins to draw.

        Returns:
            Whether it is still there.
        """
        for _ in range(2):
            began = time.monotonic()
            if not self._ask():
                return False
            threading.Event().wait(min(time.monotonic() - began, _MOST_SHOWING_S))
        return self._is_there()

    def frame_s(self) -> float | None:
        """How long one frame takes it, the way there and back counted in; None: it is gone."""
        began = time.monotonic()
        if not all(self._ask() for _ in range(_ANSWERS)):
            return None
        return (time.monotonic() - began) / _ANSWERS

    def _ask(self) -> bool:
        for _ in range(_TRIES):
            if not self._is_there():
                return False
            self._camera.fov *= self._factor
            asked = self._camera.update_timestamp
            self._factor = 1 / self._factor
            if self._answers(asked):
                return True
        return False

    def _is_there(self) -> bool:
        return self._id in self._server.get_clients()

    def _answers(self, asked: float) -> bool:
        """Whether its camera comes after that; one on its way when it was asked is no answer."""
        with self._heard:
            return self._heard.wait_for(lambda: self._camera.update_timestamp > asked, _PATIENCE_S)

    def _hear(self, _: viser.CameraHandle) -> None:
        with self._heard:
            self._heard.notify_all()


class PointBudget:
    """How many points to draw: tries steps with one window, lowest first, while it draws quickly.

    Args:
        steps: How many there are.
        apply: Makes the page draw the step of this number.
    """

    def __init__(self, steps: int, apply: Callable[[int], None]) -> None:
        self._steps, self._apply = steps, apply
        self._asking, self._stopped = threading.Lock(), threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether it stays at the present step."""
        return self._steps < 2 or self._stopped.is_set()

    def stop(self) -> None:
        """Leave it at the present step: somebody chose one."""
        self._stopped.set()

    def find(self, window: BrowserWindow) -> None:
        """Find the step, if no other window did or is about to."""
        if self._steps < 2 or not self._asking.acquire(blocking=False):
            return
        try:
            self._stopped.wait(_REST_S)
            if not self._stopped.is_set() and self._climb(window):
                self.stop()
        finally:
            self._asking.release()

    def _climb(self, window: BrowserWindow) -> bool:
        """Whether the window stayed long enough to find the step."""
        for step in range(1, self._steps):
            took = window.frame_s()
            if took is None or self._stopped.is_set() or took > _QUICK_S:
                return took is not None
            self._apply(step)
            took = window.frame_s()
            if took is None:
                return False
            if took > _SLOW_S and not self._stopped.is_set():
                self._apply(step - 1)
                return True
        return True
