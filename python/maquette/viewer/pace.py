"""How quickly a window draws, found by asking it, and as many points as suits it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import viser

_ANSWERS = 6  # the first ones may come while frames that were asked for before are still drawn
_QUICK_S, _SLOW_S = 0.1, 0.3  # a frame that allows more points, one that wants fewer
_TRIES, _PATIENCE_S = 6, 10.0  # for an answer; a window in the background gives none
_MOST_SHOWING_S = 3.0  # after an answer, for a window that came late to it
_REST_S = 2.0  # after opening, in which a person sees what is there
_UNSEEN = 1e-4  # of the field of view: less than a tenth of a pixel


class Window:
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


class Pace:
    """Tries steps with one window, from the lowest, as long as it draws quickly.

    Args:
        steps: How many there are.
        take: Makes the page draw the step of this number.
    """

    def __init__(self, steps: int, take: Callable[[int], None]) -> None:
        self._steps, self._take = steps, take
        self._asking, self._stopped = threading.Lock(), threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether it stays at the present step."""
        return self._steps < 2 or self._stopped.is_set()

    def stop(self) -> None:
        """Leave it at the present step: somebody chose one."""
        self._stopped.set()

    def find(self, window: Window) -> None:
        """Find the step, if no other window did or is about to."""
        if self._steps < 2 or not self._asking.acquire(blocking=False):
            return
        try:
            self._stopped.wait(_REST_S)
            if not self._stopped.is_set() and self._climb(window):
                self.stop()
        finally:
            self._asking.release()

    def _climb(self, window: Window) -> bool:
        """Whether the window stayed long enough to find the step."""
        for step in range(1, self._steps):
            took = window.frame_s()
            if took is None or self._stopped.is_set() or took > _QUICK_S:
                return took is not None
            self._take(step)
            took = window.frame_s()
            if took is None:
                return False
            if took > _SLOW_S and not self._stopped.is_set():
                self._take(step - 1)
                return True
        return True
