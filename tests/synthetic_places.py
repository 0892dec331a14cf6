"""Two analytic places with known cameras and surface: a room from inside, a yard from outside.

Frames as in synthetic_scene.py. Everything solid is one signed distance function, sphere traced
in numpy and coloured with solid noise, so the truth is exact on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from maquette.recon.surface.scene_config import PreparedImages, scene_config
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics, Transforms
from synthetic_scene import Floats, look_at, noise_texture, pixel_directions, write_model

WIDTH, HEIGHT = 120, 90
FAR = 30.0
ROOM = np.array([1.6, 1.3, 1.0])  # half sizes; its middle is the origin
HOUSE = np.array([0.6, 0.45, 0.5])  # half sizes of the house in the yard


@dataclass(frozen=True)
class Place:
    """What there is to film.

    Attributes:
        scene_type: `indoor` or `outdoor`.
        distance: Points [..., 3] world to signed distances [...], negative inside matter.
        frames: The cameras.
        region: The sphere to reconstruct.
    """

    scene_type: str
    distance: Callable[[Floats], Floats]
    frames: list[Frame]
    region: Region


def room() -> Place:
    """A room with a ball on its floor and a cupboard in a corner, filmed from its middle."""

    def distance(points: Floats) -> Floats:
        walls = (ROOM - np.abs(points)).min(axis=-1)
        ball = np.linalg.norm(points - [0.9, 0.5, -0.6], axis=-1) - 0.4
        cupboard = _box(points, np.array([-1.3, 0.9, -0.5]), np.array([0.3, 0.4, 0.5]))
        return np.minimum(walls, np.minimum(ball, cupboard))

    frames = []
    for index in range(28):
        turn = 2 * np.pi * index / 28
        away = np.array([np.cos(turn), np.sin(turn), 0.0])
        side = np.array([-np.sin(turn), np.cos(turn), 0.0])
        eye = 0.35 * side * (-1) ** index - 0.45 * away + [0, 0, 0.15 * np.cos(3 * turn)]
        target = eye + away + [0, 0, -0.25 + 0.3 * np.sin(5 * turn)]
        frames.append(_frame(index, look_at(eye, target), field_deg=80.0))
    radius = float(np.linalg.norm(ROOM)) * 1.05
    return Place("indoor", distance, frames, Region.around([0, 0, 0], radius))


def yard() -> Place:
    """A house with a roof on uneven ground, filmed from above while walking round it."""

    def distance(points: Floats) -> Floats:
        x, y, z = np.moveaxis(points, -1, 0)
        ground = 0.8 * (z + 0.5 - 0.06 * np.sin(2.2 * x) * np.cos(1.9 * y))
        walls = _box(points, np.zeros(3), HOUSE)
        roof = (np.maximum(np.abs(y) + z - 0.95, np.abs(x) - 0.6)) / np.sqrt(2)
        return np.minimum(ground, np.minimum(walls, np.maximum(roof, 0.45 - z)))

    frames = []
    for index in range(28):
        turn = 2 * np.pi * index / 28
        height = 1.3 + 0.5 * np.sin(3 * turn)
        eye = np.array([2.3 * np.cos(turn), 2.3 * np.sin(turn), height])
        frames.append(_frame(index, look_at(eye, np.zeros(3)), field_deg=50.0))
    return Place("outdoor", distance, frames, Region.around([0, 0, 0], 1.5))


def write_place(root: Path, place: Place) -> Scene:
    """Write what `prepare` would leave: images, sparse/0, transforms.json and config.yaml."""
    scene, texture = Scene(root, "neuralangelo"), noise_texture(1)
    scene.images.mkdir(parents=True)
    points = []
    for index, frame in enumerate(place.frames):
        eye, directions = frame.world_from_cam[:3, 3], pixel_directions(frame)
        depth = trace(place.distance, eye, directions)
        hit = eye + depth[:, None] * directions
        colors = np.where((depth < FAR)[:, None], _shade(place, hit, texture), 0.6)
        image = (colors.clip(0, 1) * 255 + 0.5).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)
        Image.fromarray(image).save(root / frame.file_path, compress_level=1)
        chosen = np.random.default_rng(index).choice(np.nonzero(depth < FAR)[0], 80)
        points.append(hit[chosen])
    transforms.write(scene.transforms, Transforms(tuple(place.frames), place.region))
    images = PreparedImages(root.name, len(place.frames), WIDTH, HEIGHT, place.scene_type, False)
    scene.config.write_text(yaml.safe_dump(scene_config(images)))

    def seen(frame: Frame, asked: Floats) -> Floats:
        eye = frame.world_from_cam[:3, 3]
        reach = np.linalg.norm(asked - eye, axis=1)
        return trace(place.distance, eye, (asked - eye) / reach[:, None]) > reach - 0.03

    write_model(scene, np.concatenate(points), seen, noise=0.005)
    return scene


def trace(
    distance: Callable[[Floats], Floats], eye: Floats, directions: Floats, steps: int = 96
) -> Floats:
    """Sphere trace; [R] distance along each ray, FAR where nothing is hit."""
    walked = np.zeros(len(directions))
    for _ in range(steps):
        walked += distance(eye + walked[:, None] * directions)
    missed = (distance(eye + walked[:, None] * directions) > 0.01) | (walked > FAR)
    return np.where(missed, FAR, walked)


def _shade(place: Place, points: Floats, texture: Callable[[Floats, float], Floats]) -> Floats:
    steps = 1e-4 * np.eye(3)
    slopes = [place.distance(points + h) - place.distance(points - h) for h in steps]
    normals = np.stack(slopes, axis=-1)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    light = np.array([0.36, -0.48, 0.8])
    return texture(points, 0.12) * (0.7 + 0.3 * normals @ light)[:, None]


def _box(points: Floats, center: Floats, half: Floats) -> Floats:
    outside = np.abs(points - center) - half
    far = np.linalg.norm(np.maximum(outside, 0), axis=-1)
    return far + np.minimum(outside.max(axis=-1), 0)


def _frame(index: int, pose: Floats, field_deg: float) -> Frame:
    focal = 0.5 * WIDTH / np.tan(np.deg2rad(field_deg / 2))
    lens = Intrinsics(WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2)
    return Frame(f"images/{index:04}.png", pose, lens)
