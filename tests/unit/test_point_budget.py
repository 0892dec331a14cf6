"""Asking a window whether it has drawn: what counts as its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.viewer import point_cloud


class Camera:
    """A window's camera as the page's server has it: a change here counts as an update too.

    Whenever it is asked, news of an earlier message come first, as when a window has just
    connected; the answer follows.
    """

    def __init__(self) -> None:
        self.update_timestamp = time.time()
        self.said: list[str] = []
        self._listeners: list[Callable[[Camera], None]] = []
        self._fov = 1.0

    def on_update(self, listener: Callable[[Camera], None]) -> None:
        self._listeners.append(listener)

    @property
    def fov(self) -> float:
        return self._fov

    @fov.setter
    def fov(self, fov: float) -> None:
        self._fov, self.update_timestamp = fov, time.time()
        self.said.append("asked")
        self._tell()
        threading.Timer(0.05, self._answer).start()

    def _answer(self) -> None:
        self.said.append("answered")
        self.update_timestamp = time.time()
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self)


class Page:
    """A server with one window, or none."""

    client_id = 7

    def __init__(self, windows: int = 1) -> None:
        self.camera = Camera()
        self._windows = windows

    def get_clients(self) -> dict[int, Page]:
        return {self.client_id: self} if self._windows else {}


def test_a_message_from_before_the_question_is_no_answer() -> None:
    page = Page()
    assert point_cloud.BrowserWindow(page, page).wait_until_drawn()
    assert page.camera.said == ["asked", "answered"] * 2


def test_a_window_has_as_long_again_to_show_what_it_draws() -> None:
    page, began = Page(), time.monotonic()
    point_cloud.BrowserWindow(page, page).wait_until_drawn()
    assert time.monotonic() - began >= 4 * 0.05


def test_a_frame_takes_as_long_as_an_answer() -> None:
    page = Page()
    took = point_cloud.BrowserWindow(page, page).frame_s()
    assert took is not None and took >= 0.05


def test_a_window_that_is_gone_is_not_asked() -> None:
    page = Page(windows=0)
    window = point_cloud.BrowserWindow(page, page)
    assert not window.wait_until_drawn()
    assert window.frame_s() is None and page.camera.said == []
