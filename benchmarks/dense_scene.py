"""A textured scene with exact depths: a ball, a ring and a tilted box on uneven ground in a room.

World: z up, right-handed; about one unit is one object's size. Everything a camera sees has a
known depth: the scene is a mesh, and rays meet it by Embree.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]
TARGET = np.array([0.0, 0.0, 0.35])
DISTANCE = 2.6
_LATTICE = 64
_SAMPLES = 2  # rays along a pixel's side


@dataclass(frozen=True)
class Seen:
    """A rendered view: `image` [H, W, 3] uint8, `depth` [H, W] float32 along +z, world units."""

    frame: Frame
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]


def render(frames: list[Frame], seed: int = 0) -> list[Seen]:
    """Render frames with a fixed texture and a little noise of a sensor."""
    scene = RayScene(_mesh())
    noise = np.random.default_rng(seed).random((3, _LATTICE, _LATTICE, _LATTICE))
    with ThreadPoolExecutor() as pool:
        seeds = range(seed, seed + len(frames))
        return list(pool.map(partial(_render, scene, noise), frames, seeds))


def frames_around(angle_deg: float, width: int, height: int) -> list[Frame]:
    """A reference view, and four that stand `angle_deg` to its left, right, above and below."""
    focal = 440.0 * width / 480.0
    lens = Intrinsics(width, height, focal, focal, width / 2, height / 2)
    middle = np.array([-100.0, 45.0])  # azimuth, elevation in degrees
    across = angle_deg / np.cos(np.radians(middle[1]))
    steps = [(0, 0), (-across, 0), (across, 0), (0, angle_deg), (0, -angle_deg)]
    return [
        Frame(f"images/{number:04}.png", _look_from(*(middle + step)), lens)
        for number, step in enumerate(steps)
    ]


def _look_from(azimuth_deg: float, elevation_deg: float) -> Floats:
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    away = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.cross(-away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(-away, right), -away, TARGET + DISTANCE * away], axis=1)
    return pose


def _mesh() -> TriangleMesh:
    ball = trimesh.creation.icosphere(5, radius=0.42)
    ball.apply_translation([-0.25, 0.1, 0.42])
    ring = trimesh.creation.torus(0.5, 0.12, major_sections=160, minor_sections=64)
    ring.apply_transform(trimesh.transformations.rotation_matrix(0.5, [1, 0.3, 0]))
    ring.apply_translation([-0.25, 0.1, 0.4])
    box = trimesh.creation.box([0.5, 0.35, 0.6])
    box.apply_transform(trimesh.transformations.rotation_matrix(0.6, [0.2, 0.1, 1]))
    box.apply_translation([0.65, -0.15, 0.3])
    room = trimesh.creation.box([9.0, 9.0, 9.0])
    room.invert()
    parts = [ball, ring, box, room, _ground()]
    whole = trimesh.util.concatenate(parts)
    return TriangleMesh(np.asarray(whole.vertices, np.float32), np.asarray(whole.faces, np.int32))


def _ground() -> trimesh.Trimesh:
    side = 241
    axis = np.linspace(-4.4, 4.4, side)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    z = 0.04 * np.sin(5.0 * x) * np.cos(4.0 * y) + 0.02 * np.sin(11.0 * x + 7.0 * y)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    return trimesh.Trimesh(np.stack([x, y, z], -1).reshape(-1, 3), faces, process=False)


def _render(scene: RayScene, noise: Floats, frame: Frame, seed: int) -> Seen:
    lens, pose = frame.intrinsics, frame.world_from_cam
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    light = np.zeros((lens.height * lens.width, 3))
    for right in steps:
        for down in steps:
            light += _colors(scene, _rays(frame, right, down), pose, noise)[0]
    depth = _colors(scene, _rays(frame, 0.5, 0.5), pose, noise)[1]
    light = light / _SAMPLES**2 + np.random.default_rng(seed).normal(0, 0.006, light.shape)
    image = np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)
    size = (lens.height, lens.width)
    return Seen(frame, image.reshape(*size, 3), depth.reshape(size))


def _rays(frame: Frame, right: float, down: float) -> Floats:
    """Directions [H·W, 3] with z = 1 in the camera's frame, turned to the world."""
    lens = frame.intrinsics
    x, y = np.meshgrid(np.arange(lens.width) + right, np.arange(lens.height) + down)
    local = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    return np.asarray(local.reshape(-1, 3) @ frame.world_from_cam[:3, :3].T)


def _colors(
    scene: RayScene, rays: Floats, pose: Floats, noise: Floats
) -> tuple[Floats, NDArray[np.float32]]:
    """Colours [R, 3] in 0..1 and depths [R] of rays whose length is one unit of depth."""
    eye = pose[:3, 3]
    hits = scene.first_hits(np.broadcast_to(eye, rays.shape), rays)
    if len(hits.ray) != len(rays):
        raise RuntimeError("a ray left the room")
    points = eye + hits.depth[:, None] * rays
    normals = hits.normal / np.linalg.norm(hits.normal, axis=1, keepdims=True)
    shade = 0.6 + 0.4 * np.abs(normals @ [0.36, -0.48, 0.8])
    return _texture(noise, points) * shade[:, None], hits.depth


def _texture(noise: Floats, points: Floats) -> Floats:
    """Noise [N, 3] in 0..1 of four sizes."""
    total = np.zeros((len(points), 3))
    for octave, weight in enumerate((0.35, 0.3, 0.2, 0.15)):
        at = points.T * (2**octave / 0.16) + 17.3 * octave
        for channel in range(3):
            mixed = noise[(channel + octave) % 3]
            total[:, channel] += weight * map_coordinates(mixed, at, order=1, mode="grid-wrap")
    return np.clip(0.5 + 1.5 * (total - 0.5), 0, 1)
