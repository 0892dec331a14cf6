"""The photo of a camera: clicked in 3D or chosen by number, shown in space and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from maquette.viewer import frustums, scenery
from maquette.viewer.display import Display, quaternions
from maquette.viewer.scenery import Camera


class PhotoPanel:
    """All cameras, and the one that is chosen."""

    def __init__(
        self, server: viser.ViserServer, cameras: Sequence[Camera], display: Display
    ) -> None:
        self.server, self.cameras, self.display = server, cameras, display
        self.frustum: viser.CameraFrustumHandle | None = None
        self.corners = pyramids_of(cameras, display)
        self.nodes = scenery.draw_cameras(server, self.corners)
        server.scene.on_click()(self._clicked)
        gui, last = server.gui, max(len(cameras) - 1, 1)
        with gui.add_folder("Photos"):
            self.show_all = gui.add_checkbox("show cameras", True)
            self.number = gui.add_slider("camera", 0, last, 1, 0, hint="or click one in the scene")
            self.depth = gui.add_slider(
                "photo depth", 0.1, 4.0, 0.02, 0.4, hint="slide it over the points"
            )
            self.name = gui.add_markdown("*click a camera to see its photo*")
            self.look = gui.add_button("Look through it", disabled=True)
            self.hide = gui.add_button("Hide the photo", disabled=True)
        self.show_all.on_update(self._toggle)
        self.number.on_update(self._numbered)
        self.depth.on_update(self._slide)
        self.look.on_click(self._look_through)
        self.hide.on_click(lambda _: self.close())

    def choose(self, index: int) -> None:
        """Show the photo of one camera."""
        camera = self.cameras[min(index, len(self.cameras) - 1)]
        self.frustum = scenery.draw_photo(self.server, camera, self.display, self.depth.value)
        self.name.content = f"**{camera.name}**"
        self.look.disabled = self.hide.disabled = False

    def close(self) -> None:
        """Take the photo away."""
        if self.frustum is not None:
            self.frustum.remove()
        self.frustum = None
        self.name.content = "*click a camera to see its photo*"
        self.look.disabled = self.hide.disabled = True

    def _clicked(self, event: Any) -> None:
        met = frustums.first_hit(self.corners, event.ray_origin, event.ray_direction)
        if met is not None and self.show_all.value:
            self.number.value = met
            self.choose(met)

    def _numbered(self, event: Any) -> None:
        if event.client is not None:
            self.choose(self.number.value)

    def _toggle(self, _: Any) -> None:
        self.nodes.visible = self.show_all.value

    def _slide(self, _: Any) -> None:
        if self.frustum is not None:
            self.frustum.scale = self.depth.value

    def _look_through(self, event: Any) -> None:
        camera = self.cameras[self.number.value]
        pose, view = camera.world_from_cam, event.client.camera
        with event.client.atomic():
            view.fov = 2 * float(np.arctan(camera.lens.height / 2 / camera.lens.fl_y))
            view.wxyz = quaternions(pose[None, :3, :3])[0]
            view.position = self.display.points(pose[:3, 3]).astype(np.float64)


def pyramids_of(cameras: Sequence[Camera], display: Display) -> NDArray[np.float64]:
    """Corners of all cameras' pyramids in display units, [N, 5, 3]."""
    poses = np.stack([camera.world_from_cam for camera in cameras])
    depth = scenery.FRUSTUM / display.length(1.0)
    corners = frustums.pyramids(poses, [camera.lens for camera in cameras], depth)
    return display.points(corners.reshape(-1, 3)).reshape(corners.shape).astype(np.float64)
