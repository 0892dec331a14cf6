"""Handles to drag: the sphere's centre and rim, two corners of the box."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.scene.region import FloatArray
from maquette.viewer.display import Display
from maquette.viewer.editing import RegionEditor
from maquette.viewer.point_cloud import PointCloud

_SIZE = 0.35  # display units
_CENTER, _RIM, _LOW, _HIGH = "sphere/center", "sphere/rim", "box/min", "box/max"
_OF_SHAPE = {"sphere": (_CENTER, _RIM), "box": (_LOW, _HIGH)}


class Handles:
    """The handles of one shape at a time; what is dragged changes the editor's region.

    They are made when they are to appear, after what there is to see, and those of the box when
    they are first wanted: their shaders cost graphics in software half a second.

    Attributes:
        dragged: Which one is being dragged, or "".
    """

    def __init__(
        self,
        server: viser.ViserServer,
        display: Display,
        editor: RegionEditor,
        cloud: PointCloud,
        shape: str,
    ) -> None:
        self._server, self.display, self.editor, self.cloud = server, display, editor, cloud
        self._made: dict[str, viser.TransformControlsHandle] = {}
        self.dragged = ""
        self._shape, self._seen, self._making = shape, False, threading.Lock()

    def appear(self) -> None:
        """Show them from now on."""
        self._seen = True
        self.choose(self._shape)

    def choose(self, shape: str) -> None:
        """Show the handles of `sphere`, of `box`, or none."""
        with self._making:
            self._shape = shape
            wanted = _OF_SHAPE.get(shape, ()) if self._seen else ()
            for name in wanted:
                if name not in self._made:
                    self._made[name] = self._add(name)
            for name, handle in self._made.items():
                handle.visible = name in wanted

    def follow(self) -> None:
        """Put each handle where its part of the region is, but leave the one that is dragged."""
        for name, handle in list(self._made.items()):
            if name != self.dragged:
                handle.position = self._place(name)

    def _place(self, name: str) -> NDArray[np.float64]:
        region = self.editor.region
        box = np.asarray(region.box)
        world = {
            _CENTER: np.asarray(region.center),
            _RIM: np.add(region.center, (region.radius, 0, 0)),
            _LOW: box[:, 0],
            _HIGH: box[:, 1],
        }[name]
        return self.display.points(world).astype(np.float64)

    def _add(self, name: str) -> viser.TransformControlsHandle:
        handle = self._server.scene.add_transform_controls(
            f"/handles/{name}",
            scale=_SIZE,
            active_axes=(True, name != _RIM, name != _RIM),
            disable_sliders=name == _RIM,
            disable_rotations=True,
            depth_test=False,
            position=self._place(name),
        )
        handle.on_update(lambda event: self._drag(name, event))
        return handle

    def _drag(self, name: str, event: Any) -> None:
        if event.client is None:
            return
        if event.phase == "start":
            self.dragged = name
            self.editor.begin_drag()
        try:
            self._take(name, self.display.world(event.target.position))
        except BadInput:
            pass  # the drag passes through an unusable place; the last usable one stays
        finally:
            if event.phase == "end":
                self.dragged = ""
                self.follow()
                self.cloud.draw(self.editor.region)

    def _take(self, name: str, place: FloatArray) -> None:
        region = self.editor.region
        box = np.asarray(region.box)
        if name == _CENTER:
            self.editor.set_sphere(place, region.radius, remember=False)
        elif name == _RIM:
            self.editor.set_sphere(region.center, place[0] - region.center[0], remember=False)
        elif name == _LOW:
            self.editor.set_box(np.minimum(place, box[:, 1]), box[:, 1], remember=False)
        else:
            self.editor.set_box(box[:, 0], np.maximum(place, box[:, 0]), remember=False)
