"""What every page shows in 3D: light, cameras with their photos, sphere and box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray
from PIL import Image

from maquette.scene.region import FloatArray, Region
from maquette.scene.transforms import Frame, Intrinsics
from maquette.scene.upright import up_direction
from maquette.viewer import frustums
from maquette.viewer.display import Display, quaternions

SPHERE, BOX, CAMERA, CHOSEN = (10, 98, 200), (194, 65, 12), (21, 128, 61), (234, 179, 8)
_RING_STEPS = 64
_LONGEST_PHOTO_PX = 1280
FRUSTUM = 0.12  # depth of a camera's pyramid, display units


@dataclass(frozen=True)
class Camera:
    """A camera as a page shows it; `world_from_cam` [4, 4]."""

    name: str
    photo: Path
    world_from_cam: FloatArray
    lens: Intrinsics


def set_up(
    server: viser.ViserServer, cameras: Sequence[Camera], display: Display,
    told: NDArray[np.float64] | None = None,
) -> None:  # fmt: skip
    """Set which way is up, as `transforms.json` tells it, and where a new window looks from."""
    frames = [Frame(camera.name, camera.world_from_cam, camera.lens) for camera in cameras]
    up = up_direction(frames, told)
    side = display.points(cameras[0].world_from_cam[:3, 3]).astype(np.float64)
    level = side - (side @ up) * up
    away = level / max(float(np.linalg.norm(level)), 1e-6)
    server.scene.set_up_direction(tuple(up))
    server.initial_camera.position = 2.6 * away + 1.5 * up
    server.initial_camera.look_at = np.zeros(3)
    server.scene.configure_default_lights(enabled=False)
    server.scene.configure_environment_map(None)
    server.scene.add_light_ambient("/light", intensity=np.pi)  # colours as they are


def light(server: viser.ViserServer) -> None:
    """Light what has faces; lines and points need none, and lamps cost a slow machine seconds."""
    server.scene.configure_default_lights(cast_shadow=False)
    server.scene.configure_environment_map()


def draw_cameras(server: viser.ViserServer, corners: NDArray[np.float64]) -> viser.GlbHandle:
    """Draw the pyramids of all cameras [N, 5, 3] as thin lines.

    In one node and unlit: a thousand cost graphics in software a twentieth of a second a frame.
    """
    return server.scene.add_glb(
        "/cameras",
        frustums.lines_glb(frustums.edges(corners), CAMERA),
        cast_shadow=False,
        receive_shadow=False,
    )


def draw_photo(
    server: viser.ViserServer, camera: Camera, display: Display, depth: float
) -> viser.CameraFrustumHandle:
    """Show a camera's photo at `depth` (display units) in front of it."""
    lens = camera.lens
    return server.scene.add_camera_frustum(
        "/chosen camera",
        fov=2 * float(np.arctan(lens.height / 2 / lens.fl_y)),
        aspect=lens.width / lens.height * lens.fl_y / lens.fl_x,
        scale=depth,
        thickness=0.004,
        color=CHOSEN,
        image=read_photo(camera.photo),
        wxyz=quaternions(camera.world_from_cam[None, :3, :3])[0],
        position=display.points(camera.world_from_cam[:3, 3]),
        cast_shadow=False,
        receive_shadow=False,
    )


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photo for the screen, [H, W, 3]; a grey field when the file is missing or broken."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (_LONGEST_PHOTO_PX, _LONGEST_PHOTO_PX))
            photo = opened.convert("RGB")
    except OSError:
        return np.full((90, 120, 3), 128, np.uint8)
    photo.thumbnail((_LONGEST_PHOTO_PX, _LONGEST_PHOTO_PX))
    return np.asarray(photo)


class RegionShapes:
    """The sphere as rings, the box as its edges; they move, without being sent again."""

    def __init__(self, server: viser.ViserServer, region: Region, display: Display) -> None:
        self._display, scene = display, server.scene
        thin: dict[str, Any] = {"thickness": 2.5, "thickness_units": "screen"}
        self._sphere = scene.add_line_segments("/region/sphere", _rings(), SPHERE, **thin)
        self._box = scene.add_line_segments("/region/box", _box_edges(), BOX, **thin)
        self.show(region)

    def show(self, region: Region) -> None:
        """Put the shapes where the region is."""
        self._sphere.position = self._display.points(region.center).astype(np.float64)
        self._sphere.scale = self._display.length(region.radius)
        low, high = self._display.points(np.asarray(region.box).T).astype(np.float64)
        self._box.position = (low + high) / 2
        self._box.scale = tuple((high - low) / 2)

    def switch(self, shown: bool) -> None:
        """Show or hide them."""
        for part in (self._sphere, self._box):
            part.visible = shown


def _box_edges() -> NDArray[np.float32]:
    """The twelve edges of the cube from -1 to 1, [12, 2, 3]."""
    corners = np.array([[n >> axis & 1 for axis in range(3)] for n in range(8)]) * 2.0 - 1.0
    pairs = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]
    return np.asarray(corners[np.array(pairs)], np.float32)


def _rings() -> NDArray[np.float32]:
    """Five unit circles, one about each axis and two between, as segments [S, 2, 3]."""
    turn = np.linspace(0, 2 * np.pi, _RING_STEPS + 1)
    flat = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    rings = [np.roll(flat, shift, axis=1) for shift in range(3)]
    half = np.sqrt(0.5)
    rings += [rings[0][:, [0, 2, 1]] @ [[half, s * half, 0], [0, 0, 1], [0, 0, 0]] for s in (1, -1)]
    lines = [np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings]
    return np.concatenate(lines).astype(np.float32)
