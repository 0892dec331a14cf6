"""Choosing points on the page: a box or a lasso drawn over them with the mouse or a finger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import viser
from numpy.typing import NDArray

from maquette.scene.region import FloatArray
from maquette.viewer.display import Display
from maquette.viewer.point_cloud import PointCloud
from maquette.viewer.screen_selection import Place, in_polygon, in_rectangle, on_screen
from maquette.viewer.screenshot import view_of

SELECTED = (190, 24, 160)
Tool = Literal["turns the view", "draws a box", "draws a lasso"]
TOOLS: tuple[str, ...] = get_args(Tool)
_FEW = 20_000  # selected points that are drawn
_WALL = 60.0  # display units: what a lasso is drawn on, behind everything
_NEAR = 0.02  # of the way to that wall, where its line is shown
_LINE = "/selection/lasso"


class Selection:
    """The chosen points, and the tool with which more are chosen.

    Args:
        points: All points of the scene, world units, [P, 3].
        changed: Called when other points are chosen.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        display: Display,
        cloud: PointCloud,
        points: FloatArray,
        changed: Callable[[], None],
    ) -> None:
        self._server, self._display, self._cloud = server, display, cloud
        self._points, self._changed = points, changed
        self._lock = threading.Lock()
        self._path: list[Place] = []
        self._line: list[NDArray[np.float64]] = []
        self._tool, self._wall = TOOLS[0], server.scene.add_icosphere(
            "/selection/wall", _WALL, opacity=0.0, side="double", visible=False,
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._wall.on_drag(self._draw_lasso)
        self.chosen = np.zeros(len(points), bool)

    @property
    def count(self) -> int:
        """How many points are chosen."""
        return int(self.chosen.sum())

    def use(self, tool: str) -> None:
        """Take a tool of `TOOLS` in hand: what a drag on the scene does."""
        scene = self._server.scene
        if self._tool == TOOLS[1] != tool:
            scene.remove_rect_select_callback(self._take_box)
        if tool == TOOLS[1] != self._tool:
            scene.on_rect_select()(self._take_box)
        self._wall.visible = tool == TOOLS[2]
        self._tool = tool

    def choose(self, chosen: NDArray[np.bool_]) -> None:
        """Choose these points [P] and no others."""
        self.chosen = chosen
        shown = np.flatnonzero(chosen)
        shown = shown[:: max(1, -(-len(shown) // _FEW))]
        self._server.scene.add_point_cloud(
            "/selection/points",
            self._display.points(self._points[shown]).reshape(-1, 3),
            SELECTED,
            point_size=1.5 * self._cloud.size,
            point_shape="circle",
            precision="float32",
            point_shading="flat",
        )
        self._changed()

    def clear(self) -> None:
        """Choose nothing."""
        self.choose(np.zeros(len(self._points), bool))

    def _take_box(self, event: Any) -> None:
        places = self._places(event.client)
        self.choose(self._cloud.visible & in_rectangle(places, event.screen_min, event.screen_max))

    def _draw_lasso(self, event: Any) -> None:
        with self._lock:  # events of one drag may come in several threads
            if event.phase == "start":
                self._path, self._line = [event.start_screen_pos], [self._near(event, "start")]
            self._path.append(event.end_screen_pos)
            self._line.append(self._near(event, "end"))
            if event.phase == "end":
                self._server.scene.remove_by_name(_LINE)
                path, self._path = self._path, []
            else:
                ends = np.stack([self._line[:-1], self._line[1:]], axis=1)
                self._server.scene.add_line_segments(_LINE, ends, SELECTED, thickness=2.5,
                                                     thickness_units="screen")  # fmt: skip
                return
        if len(path) > 2:
            self.choose(self._cloud.visible & in_polygon(self._places(event.client), path))

    def _near(self, event: Any, which: str) -> NDArray[np.float64]:
        """A place of the lasso's line close to the window's camera, so that nothing hides it."""
        eye = np.asarray(event.client.camera.position)
        far = np.asarray(event.start_position if which == "start" else event.end_position)
        return np.asarray(eye + _NEAR * (far - eye))

    def _places(self, client: Any) -> NDArray[np.float64]:
        return on_screen(self._points, view_of(client.camera, self._display))
