"""What every page shows in 3D: points, cameras with their photos, sphere and box.

Frame: "display" is the unit space of the region when the page opened, so that scenes of any
size look alike and fit the browser's number range; `Display` converts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import viser
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from maquette.scene.region import FloatArray, Region
from maquette.scene.transforms import Intrinsics
from maquette.viewer.rotations import quaternions

SPHERE, BOX, CAMERA, CHOSEN = (10, 98, 200), (194, 65, 12), (21, 128, 61), (234, 179, 8)
_RING_STEPS = 96
_LONGEST_PHOTO_PX = 1280
_FRUSTUM = 0.12  # depth of a camera's pyramid, display units
_MOST_DRAWN = 300_000  # points; counts and fits use all
_MOST_FAR = 25.0  # display units: points beyond are left out, or the scene looks like a dot


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


@dataclass(frozen=True)
class Camera:
    """A camera as a page shows it; `world_from_cam` [4, 4]."""

    name: str
    photo: Path
    world_from_cam: FloatArray
    lens: Intrinsics


def begin(server: viser.ViserServer, cameras: Sequence[Camera], display: Display) -> None:
    """Set which way is up and where a new window looks from."""
    tops = -np.mean([camera.world_from_cam[:3, 1] for camera in cameras], axis=0)
    up = tops / np.linalg.norm(tops) if np.linalg.norm(tops) > 0.1 else np.array([0.0, -1.0, 0.0])
    side = display.points(cameras[0].world_from_cam[:3, 3]).astype(np.float64)
    level = side - (side @ up) * up
    away = level / max(float(np.linalg.norm(level)), 1e-6)
    server.scene.set_up_direction(tuple(up))
    server.initial_camera.position = 2.6 * away + 1.5 * up
    server.initial_camera.look_at = np.zeros(3)
    server.scene.configure_default_lights(cast_shadow=False)


def draw_cameras(
    server: viser.ViserServer, cameras: Sequence[Camera], display: Display
) -> viser.BatchedMeshHandle:
    """Draw all cameras as one node, so that a thousand are as quick as one; clicks tell which."""
    corners = np.array([[0, 0, 0], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4]], np.uint32)
    poses = np.stack([camera.world_from_cam for camera in cameras])  # [N, 4, 4]
    scales = np.array([_half_extent(camera.lens) for camera in cameras]) * _FRUSTUM
    return server.scene.add_batched_meshes_simple(
        "/cameras",
        corners,
        faces,
        batched_wxyzs=quaternions(poses[:, :3, :3]),
        batched_positions=display.points(poses[:, :3, 3]),
        batched_scales=scales.astype(np.float32),
        batched_colors=CAMERA,
        opacity=0.45,
        side="double",
        lod="off",
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


class Cloud:
    """The sparse points: those in the region in their colours, the others pale or hidden."""

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
        self._drawn = np.zeros(len(points), bool)
        self._drawn[:: -(-len(points) // _MOST_DRAWN)] = True
        self._inside: NDArray[np.bool_] | None = None
        self.size, self.hides_outside = 0.006, False

    @property
    def is_thinned(self) -> bool:
        """Whether only every n-th point is drawn."""
        return not self._drawn.all()

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Which points are on the screen, wherever it looks, [P]."""
        if self.hides_outside and self._inside is not None:
            return self._near & self._inside
        return self._near

    def draw(self, region: Region) -> None:
        """Send the points as this region divides them."""
        self._inside = region.contains(self._world)
        pale = (0.3 * self._colors + 0.7 * 235).astype(np.uint8)
        drawn = self._drawn & self._near
        self._send("/points/inside", self._inside & drawn, self._colors, self.size)
        outside = ~self._inside & drawn & (not self.hides_outside)
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


class Shapes:
    """The sphere as three rings and a faint skin, the box as its edges; they move, not resend."""

    def __init__(self, server: viser.ViserServer, region: Region, display: Display) -> None:
        self._display, scene = display, server.scene
        thin: dict[str, Any] = {"thickness": 2.5, "thickness_units": "screen"}
        self._sphere = scene.add_line_segments("/region/sphere", _rings(), SPHERE, **thin)
        self._skin = scene.add_icosphere(
            "/region/skin", 1.0, SPHERE, subdivisions=4, opacity=0.07, side="double",
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._box = scene.add_line_segments("/region/box", _box_edges(), BOX, **thin)
        self.show(region)

    def show(self, region: Region) -> None:
        """Put the shapes where the region is."""
        for part in (self._sphere, self._skin):
            part.position = self._display.points(region.center).astype(np.float64)
            part.scale = self._display.length(region.radius)
        low, high = self._display.points(np.asarray(region.box).T).astype(np.float64)
        self._box.position = (low + high) / 2
        self._box.scale = tuple((high - low) / 2)

    def switch(self, shown: bool) -> None:
        """Show or hide them."""
        for part in (self._sphere, self._skin, self._box):
            part.visible = shown


def _box_edges() -> NDArray[np.float32]:
    """The twelve edges of the cube from -1 to 1, [12, 2, 3]."""
    corners = np.array([[n >> axis & 1 for axis in range(3)] for n in range(8)]) * 2.0 - 1.0
    pairs = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]
    return np.asarray(corners[np.array(pairs)], np.float32)


def _rings() -> NDArray[np.float32]:
    """Three unit circles, one about each axis, as segments [S, 2, 3]."""
    turn = np.linspace(0, 2 * np.pi, _RING_STEPS + 1)
    flat = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    rings = [np.roll(flat, shift, axis=1) for shift in range(3)]
    lines = [np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings]
    return np.concatenate(lines).astype(np.float32)


def _half_extent(lens: Intrinsics) -> tuple[float, float, float]:
    return lens.width / 2 / lens.fl_x, lens.height / 2 / lens.fl_y, 1.0
