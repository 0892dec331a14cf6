"""A coloured ball that cameras look at from all around, for tests of textures.

World: the ball has radius 1 around CENTER; its colours are smooth functions of the place. Photos
may have factors of exposure, and a red disc before the ball in some, as if someone walked by.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics, Transforms
from synthetic_scene import look_at

Floats = NDArray[np.float64]
CENTER = np.array([0.4, -0.3, 0.5])
RED = np.array([255, 0, 0], np.uint8)
_WAVES = np.random.default_rng(7).normal(size=(3, 4, 3)) * 4.0
_SAMPLES = 2  # rays along a pixel's side


def ball(subdivisions: int = 4) -> TriangleMesh:
    """The ball as triangles, world units: 5,120 at 4 subdivisions."""
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions)
    return TriangleMesh(sphere.vertices + CENTER, sphere.faces.astype(np.int32))


def albedo(points: Floats) -> Floats:
    """Colours of places [N, 3], sRGB 0..255, between 45 and 195."""
    local = points - CENTER
    waves = [np.sin(local @ waves.T).sum(axis=1) for waves in _WAVES]
    return 120.0 + 18.75 * np.stack(waves, axis=1)


def frames_around(count: int, width: int = 96, height: int = 72) -> list[Frame]:
    """Cameras around the ball, every second one from below."""
    lens = Intrinsics(width, height, 1.2 * width, 1.2 * width, width / 2, height / 2)
    frames = []
    for number in range(count):
        turn, lift = 2 * np.pi * number / count, np.deg2rad(35.0) * (-1) ** number
        away = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
        frames.append(Frame(f"images/{number:04}.png", look_at(CENTER + 3.6 * away, CENTER), lens))
    return frames


def photo(frame: Frame, gain: Floats | float = 1.0, walker: bool = False) -> NDArray[np.uint8]:
    """What a camera sees: black beside the ball."""
    lens, pose = frame.intrinsics, frame.world_from_cam
    across = (np.arange(lens.width * _SAMPLES) + 0.5) / _SAMPLES
    down = (np.arange(lens.height * _SAMPLES) + 0.5) / _SAMPLES
    local = np.ones((len(down), len(across), 3))
    local[..., 0] = (across - lens.cx) / lens.fl_x
    local[..., 1] = ((down - lens.cy) / lens.fl_y)[:, None]
    ways = local.reshape(-1, 3) @ pose[:3, :3].T
    hits = _fine_ball().first_hits(np.broadcast_to(pose[:3, 3], ways.shape), ways)
    colors = np.zeros(ways.shape)
    colors[hits.ray] = albedo(pose[:3, 3] + ways[hits.ray] * hits.depth[:, None]) * gain
    grid = colors.reshape(lens.height, _SAMPLES, lens.width, _SAMPLES, 3).mean(axis=(1, 3))
    picture = np.clip(np.rint(grid), 0, 255).astype(np.uint8)
    if walker:
        row, column = np.ogrid[: lens.height, : lens.width]
        picture[np.hypot(row - lens.height / 2, column - lens.width / 2) < 0.2 * lens.height] = RED
    return picture


@lru_cache
def _fine_ball() -> RayScene:
    return RayScene(ball(5))


def write_scene(
    root: Path, count: int = 24, gains: Mapping[int, Floats] | None = None,
    walkers: tuple[int, ...] = (), pipeline: str = "photogrammetry",
) -> Scene:  # fmt: skip
    """Write images/ and transforms.json: what `prepare` would leave."""
    scene, frames = Scene(root, pipeline), frames_around(count)
    scene.images.mkdir(parents=True)
    for number, frame in enumerate(frames):
        picture = photo(frame, (gains or {}).get(number, np.ones(3)), number in walkers)
        Image.fromarray(picture).save(root / frame.file_path, compress_level=1)
    region = Region.around(CENTER, 1.5)
    transforms.write(scene.transforms, Transforms(tuple(frames), region))
    return scene


def views_of(scene: Scene) -> Views:
    """All photos of a scene."""
    return Views(scene, transforms.read(scene.transforms).frames)
