"""Scenes whose region is known: cameras, points, and which points are the thing to reconstruct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import sparse_models
from maquette.scene.colmap_model import SparseModel
from maquette.scene.lens_models import BY_ID, Lens

Floats = NDArray[np.float64]
CENTER = np.array([7.0, -3.0, 2.0])  # off the origin, which means nothing
_LENS = Lens(BY_ID[1], 640, 480, (520.0, 520.0, 320.0, 240.0))


@dataclass(frozen=True)
class KnownScene:
    """A scene type, a model, and the true points [T, 3] that a region should hold."""

    scene_type: str
    model: SparseModel
    truth: Floats


def object_on_ground(seed: int = 0, far: float = 0.0) -> KnownScene:
    """A ball on a disc, walked around; a share `far` of all points is background."""
    random = np.random.default_rng(seed)
    truth = sparse_models.ball(700, CENTER, 0.6, seed)
    disc = 3 * np.sqrt(random.random(300)) * np.exp(2j * np.pi * random.random(300))
    ground = CENTER + np.stack([disc.real, np.full(300, 0.6), disc.imag], axis=1)
    points = _with_background(np.concatenate([truth, ground]), far, 4.0, random)
    poses = sparse_models.around(CENTER, 2.5, 30, points, seed).poses
    return KnownScene("object", _model(poses, points), truth)


def room(seed: int = 0, far: float = 0.0) -> KnownScene:
    """Walls around cameras that look outwards; background is seen through windows."""
    random = np.random.default_rng(seed)
    half = np.array([2.5, 1.3, 2.0])
    walls = random.uniform(-1, 1, (1500, 3))
    side = random.integers(0, 3, 1500)
    walls[np.arange(1500), side] = np.sign(walls[np.arange(1500), side])
    truth = CENTER + walls * half
    points = _with_background(truth, far, 4.0, random)
    poses = sparse_models.around(CENTER, 0.8, 24, points, seed).poses
    poses[:, :3, [0, 2]] *= -1  # turned about: they look at the walls
    return KnownScene("indoor", _model(poses, points), truth)


def flight(seed: int = 0, far: float = 0.0) -> KnownScene:
    """A town from above, cameras looking straight down; background is a far horizon."""
    random = np.random.default_rng(seed)
    ground = random.uniform(-15, 15, (1500, 3)) * [1, 0, 1]
    truth = CENTER + ground - random.random((1500, 1)) ** 3 * [0, 4, 0]
    points = _with_background(truth, far, 60.0, random)
    poses = np.tile(np.eye(4), (36, 1, 1))
    for number in range(36):
        row, column = divmod(number, 6)
        poses[number, :3, 3] = np.add(CENTER, (4 * column - 10, -40, 4 * row - 10))
    poses[:, :3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]  # x right, y to the back, z down
    return KnownScene("outdoor", _model(poses, points), truth)


SCENES: dict[str, Callable[[], KnownScene]] = {
    "object": object_on_ground,
    "object, 40 % background": lambda: object_on_ground(far=0.4),
    "room": room,
    "room, 25 % background": lambda: room(far=0.25),
    "flight": flight,
    "flight, 10 % background": lambda: flight(far=0.1),
}


def _with_background(
    points: Floats, share: float, nearest: float, random: np.random.Generator
) -> Floats:
    """Add points 5 to 100 times as far as `nearest`, until they are this share of all."""
    count = int(len(points) * share / (1 - share))
    away = random.normal(size=(count, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    reach = nearest * 5 * 20 ** random.random((count, 1))
    return np.concatenate([points, CENTER + reach * away])


def _model(poses: Floats, points: Floats) -> SparseModel:
    return SparseModel(
        names=tuple(f"{number:04}.jpg" for number in range(len(poses))),
        lenses=(_LENS,) * len(poses),
        world_from_cam=poses,
        points=points,
        colors=np.full((len(points), 3), 128, np.uint8),
        views=np.full(len(points), 3),
    )
