"""Handles to drag: the sphere's centre and rim, two corners of the box."""

from __future__ import annotations

from typing import Any

import numpy as np
import viser

from maquette.errors import BadInput
from maquette.viewer.editing import RegionEditor
from maquette.viewer.scenery import Cloud, Display

_SIZE = 0.35  # display units
_ALL_AXES, _RIM_AXIS = (True, True, True), (True, False, False)


class Handles:
    """The handles of one shape at a time; what is dragged changes the editor's region."""

    def __init__(
        self,
        server: viser.ViserServer,
        display: Display,
        editor: RegionEditor,
        cloud: Cloud,
        shape: str,
    ) -> None:
        self.display, self.editor, self.cloud = display, editor, cloud
        self._dragged: viser.TransformControlsHandle | None = None
        self.center = self._add(server, "sphere/center", _ALL_AXES)
        self.rim = self._add(server, "sphere/rim", _RIM_AXIS)
        self.low = self._add(server, "box/min", _ALL_AXES)
        self.high = self._add(server, "box/max", _ALL_AXES)
        self.choose(shape)
        self.follow()

    def choose(self, shape: str) -> None:
        """Show the handles of `sphere`, of `box`, or none."""
        for handle in (self.center, self.rim):
            handle.visible = shape == "sphere"
        for handle in (self.low, self.high):
            handle.visible = shape == "box"

    def follow(self) -> None:
        """Put each handle where its part of the region is, but leave the one in the hand."""
        region = self.editor.region
        box = np.asarray(region.box)
        rim = np.add(region.center, (region.radius, 0, 0))
        places = (
            (self.center, region.center), (self.rim, rim),
            (self.low, box[:, 0]), (self.high, box[:, 1]),
        )  # fmt: skip
        for handle, world in places:
            if handle is not self._dragged:
                handle.position = self.display.points(world).astype(np.float64)

    def _add(
        self, server: viser.ViserServer, name: str, axes: tuple[bool, bool, bool]
    ) -> viser.TransformControlsHandle:
        handle = server.scene.add_transform_controls(
            f"/handles/{name}",
            scale=_SIZE,
            active_axes=axes,
            disable_sliders=axes == _RIM_AXIS,
            disable_rotations=True,
            depth_test=False,
        )
        handle.on_update(self._drag)
        return handle

    def _drag(self, event: Any) -> None:
        if event.client is None:
            return
        if event.phase == "start":
            self._dragged = event.target
            self.editor.begin_drag()
        try:
            self._take(event.target)
        except BadInput:
            pass  # the hand passes through an unusable place; the last usable one stays
        finally:
            if event.phase == "end":
                self._dragged = None
                self.follow()
                self.cloud.draw(self.editor.region)

    def _take(self, handle: viser.TransformControlsHandle) -> None:
        region = self.editor.region
        place = self.display.world(handle.position)
        box = np.asarray(region.box)
        if handle is self.center:
            self.editor.set_sphere(place, region.radius, remember=False)
        elif handle is self.rim:
            self.editor.set_sphere(region.center, place[0] - region.center[0], remember=False)
        elif handle is self.low:
            self.editor.set_box(np.minimum(place, box[:, 1]), box[:, 1], remember=False)
        else:
            self.editor.set_box(box[:, 0], np.maximum(place, box[:, 0]), remember=False)
