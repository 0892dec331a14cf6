"""Ways of filming whose region is known: sparse models, and the surface that a region should hold.

For a film of one thing that is the thing, whole; for a place that is walked or flown through it is
the place: the walls along the walk, the room, the town below. y is down, the ground at y = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import sparse_models
from filming import box, disc, film, look_at, model_of, moved, patch, sees, sphere
from maquette.scene.colmap_model import SparseModel

Floats = NDArray[np.float64]
CENTER = np.array([7.0, -3.0, 2.0])  # off the origin, which means nothing


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
    ground = disc(300, np.add(CENTER, (0, 0.6, 0)), 3, random)
    points = _with_background(np.concatenate([truth, ground]), far, 4.0, random)
    poses = sparse_models.around(CENTER, 2.5, 30, points, seed).poses
    return KnownScene("object", model_of(poses, points), truth)


def arc(degrees: float, seed: int = 0) -> KnownScene:
    """A figure on forest ground, filmed from one side; trees stand behind and around."""
    random = np.random.default_rng(seed)
    truth = _figure(random)
    trees = [
        box(80, (x - 0.3, -6, z - 0.3), (x + 0.3, 0, z + 0.3), random)
        for x, z in _ring(24, 7, 16, random)
    ]
    others = [disc(5000, np.zeros(3), 9, random), *trees]
    poses = _arc(30, degrees, 2.6, (-1.6, -1.0), np.array([0, -0.5, 0]), random)
    return _filmed("object", poses, truth, others, seed)


def toy(seed: int = 0) -> KnownScene:
    """A small toy on a wide table, half walked round; walls and furniture far behind."""
    random = np.random.default_rng(seed)
    body = box(1200, (-0.06, -0.1, -0.04), (0.06, 0, 0.04), random)
    head = sphere(800, np.array([0.03, -0.15, 0]), 0.05, random)
    table = patch(4000, (-0.8, 0, -0.5), (0.8, 0, 0.5), random)
    floor = patch(1500, (-3, 0.75, -4), (3, 0.75, 4), random)
    walls = box(3000, (-3, -1.8, -4), (3, 0.75, 4), random)
    cupboards = box(1500, (-2.8, -1, 2.5), (2.8, 0.7, 3.4), random)
    poses = _arc(30, 180, 0.6, (-0.42, -0.2), np.array([0, -0.07, 0]), random)
    others = [table, floor, walls, cupboards]
    return _filmed("object", poses, np.concatenate([body, head]), others, seed)


def turntable(seed: int = 0) -> KnownScene:
    """A figure turned before a camera that does not move; masks leave nothing but the figure."""
    random = np.random.default_rng(seed)
    poses = _arc(36, 350, 2.4, (-1.2, -1.2), np.array([0, -0.55, 0]), random)
    return _filmed("object", poses, _figure(random), [], seed)


def bust(seed: int = 0) -> KnownScene:
    """A head in a few close pictures from one side, held at any angle; few points, some far off."""
    random = np.random.default_rng(seed)
    head = sphere(2500, np.array([0, -1, 0]), 1.0, random)
    neck = box(600, (-0.5, -0.6, -0.5), (0.5, 0.6, 0.5), random)
    shelf = box(700, (-6, -5, 6), (6, 4, 7), random)
    poses = []
    for _ in range(12):
        away = np.array([random.uniform(-0.8, 0.8), random.uniform(-1.0, 0.4), -1])
        eye = np.array([0, -1, 0]) + random.uniform(2.6, 4.2) * away / np.linalg.norm(away)
        aim = np.array([0, -1, 0]) + 0.25 * random.normal(size=3)
        poses.append(look_at(eye, aim, random.uniform(-0.8, 0.8)))
    truth = np.concatenate([head, neck])
    return _filmed("object", np.stack(poses), truth, [shelf], seed, most=500)


def house(seed: int = 0) -> KnownScene:
    """A house on its street, filmed over an arc from the pavement across; neighbours beside it."""
    random = np.random.default_rng(seed)
    truth = np.concatenate(
        [
            box(3000, (-5, -6, 0), (5, 0, 8), random),
            box(500, (-4, -8.5, 1), (4, -6, 7), random),
            box(400, (-1, -3, -1.2), (1, 0, 0), random),
        ]
    )
    others = [
        patch(4000, (-25, 0, -16), (25, 0, 30), random),
        box(1500, (-22, -7, 1), (-10, 0, 9), random),
        box(1500, (10, -5, 1), (22, 0, 9), random),
        box(1500, (-60, -25, 60), (60, 0, 70), random),
    ]
    poses = _arc(32, 100, 15.0, (-1.8, -1.6), np.array([0, -3.5, 2.0]), random, aim=1.0)
    return _filmed("outdoor", poses, truth, others, seed)


def facade(seed: int = 0) -> KnownScene:
    """A wide front with bays and balconies, walked past while looking at it."""
    random = np.random.default_rng(seed)
    bays = [
        box(300, (x - 0.8, y - 1, -0.9), (x + 0.8, y, 0), random)
        for x in range(-9, 10, 3)
        for y in (-1, -4.5)
    ]
    truth = np.concatenate([patch(4000, (-11, -9, 0), (11, 0, 0), random), *bays])
    ground = patch(2500, (-14, 0, -6), (14, 0, 0), random)
    hills = box(800, (-200, -60, 150), (200, 0, 160), random)
    poses = []
    for x in np.linspace(-8, 8, 30):
        eye = np.array([x, -1.7, -9 + 0.3 * random.normal()])
        aim = np.array([x + 0.8 * random.normal() - 0.15 * x, -3.6 + 0.3 * random.normal(), 0])
        poses.append(look_at(eye, aim))
    return _filmed("outdoor", np.stack(poses), truth, [ground, hills], seed)


def corner(seed: int = 0) -> KnownScene:
    """The corner of a room with a table in it, from inside; the rest is out of the picture."""
    random = np.random.default_rng(seed)
    truth = np.concatenate(
        [
            patch(2000, (0, -2.6, 0), (0, 0, 3), random),
            patch(2000, (0, -2.6, 0), (3, 0, 0), random),
            patch(2000, (0, 0, 0), (3, 0, 3), random),
            box(800, (0.6, -0.75, 0.5), (1.8, 0, 1.3), random),
        ]
    )
    poses = []
    for turn in np.radians(np.linspace(8, 82, 28)):
        reach = random.uniform(4.2, 5.0)
        eye = np.array([reach * np.cos(turn), random.uniform(-1.7, -1.2), reach * np.sin(turn)])
        poses.append(look_at(eye, np.array([1.0, -0.9, 1.0]) + 0.25 * random.normal(size=3)))
    return _filmed("indoor", np.stack(poses), truth, [], seed)


def street(seed: int = 0) -> KnownScene:
    """A street walked along while looking ahead; the truth is what lies beside the walk."""
    random = np.random.default_rng(seed)
    long, rows = 140, []
    for side in (-1, 1):
        for start in range(-5, long, 9):
            front, depth = 4 + random.random(), random.uniform(5, 8)
            low, high = sorted((side * front, side * (front + depth)))
            roof = -random.uniform(5, 8)
            rows.append(box(700, (low, roof, start), (high, 0, start + 8.5), random))
    road = patch(5000, (-4, 0, -5), (4, 0, long), random)
    church = box(800, (-12, -40, 300), (12, 0, 330), random)
    poses = []
    for step in np.linspace(0, 40, 30):
        eye = np.array([0.5 * random.normal(), -1.6, step])
        away = [3 * random.normal(), -0.5 + random.normal(), 12]
        poses.append(look_at(eye, eye + away))
    walls = np.concatenate([*rows, road])
    seen = np.sum([sees(pose, walls) for pose in poses], axis=0) >= 3
    beside = walls[seen & (walls[:, 2] <= 40)]
    return _filmed("outdoor", np.stack(poses), beside, [walls, church], seed)


def tower(seed: int = 0) -> KnownScene:
    """A tall building in a town, circled by a drone."""
    random = np.random.default_rng(seed)
    truth = np.concatenate(
        [box(2500, (-7, -18, -7), (7, 0, 7), random), box(500, (-3, -23, -3), (3, -18, 3), random)]
    )
    blocks = [
        box(350, (x - 7, -random.uniform(5, 12), z - 7), (x + 7, 0, z + 7), random)
        for x in range(-60, 61, 20)
        for z in range(-60, 61, 20)
        if x or z
    ]
    ground = patch(4000, (-70, 0, -70), (70, 0, 70), random)
    poses = _arc(40, 351, 38, (-34, -30), np.array([0, -10, 0]), random, aim=0.8)
    return _filmed("outdoor", poses, truth, [ground, *blocks], seed)


def town(seed: int = 0) -> KnownScene:
    """A small town flown over in a grid, looking down and slightly ahead."""
    random = np.random.default_rng(seed)
    blocks = [
        box(200, (x - 6, -random.uniform(4, 15), z - 6), (x + 6, 0, z + 6), random)
        for x in range(-40, 41, 20)
        for z in range(-40, 41, 20)
    ]
    ground = patch(5000, (-56, 0, -46), (56, 0, 52), random)
    poses = []
    for row in range(6):
        for column in range(6):
            eye = np.array([13 * column - 32.5, -50 + random.normal(), 13 * row - 32.5])
            poses.append(
                look_at(eye, eye + np.array([random.normal(), 10, 1.5 + 0.3 * random.normal()]))
            )
    return _filmed("outdoor", np.stack(poses), np.concatenate([ground, *blocks]), [], seed)


def room(seed: int = 0) -> KnownScene:
    """A furnished room turned round in; a garden shows through a window."""
    random = np.random.default_rng(seed)
    walls = box(6000, (-2.5, -2.6, -2), (2.5, 0, 2), random)
    window = (np.abs(walls[:, 0]) < 0.7) & (np.abs(walls[:, 1] + 1.4) < 0.6) & (walls[:, 2] > 1.99)
    furniture = [
        box(500, (-2.4, -2, -0.5), (-1.9, 0, 1), random),
        box(400, (0.8, -0.75, -1.5), (2, 0, -0.8), random),
    ]
    garden = box(2500, (-30, -10, 12), (30, 2, 40), random)
    poses = []
    for turn in np.radians(np.arange(0, 360, 10)):
        ahead = np.array([np.cos(turn), 0.15 * random.normal(), np.sin(turn)])
        eye = np.array([0, -1.5, 0]) - 0.6 * ahead * [1, 0, 1] + 0.15 * random.normal(size=3)
        poses.append(look_at(eye, eye + ahead))
    truth = np.concatenate([walls[~window], *furniture])
    return _filmed("indoor", np.stack(poses), truth, [garden], seed)


SCENES: dict[str, Callable[[int], KnownScene]] = {
    "ball on a disc, circled": object_on_ground,
    "the same, 40 % background": lambda seed: object_on_ground(seed, far=0.4),
    "figure, circled": lambda seed: arc(350, seed),
    "figure, arc of 150°": lambda seed: arc(150, seed),
    "figure, arc of 90°": lambda seed: arc(90, seed),
    "toy on a table, half circle": toy,
    "turntable with masks": turntable,
    "bust, 12 close pictures": bust,
    "house, arc of 100°": house,
    "tower in a town, circled": tower,
    "façade walked past": facade,
    "corner of a room": corner,
    "room turned round in": room,
    "street walked along": street,
    "town flown over": town,
}


def _figure(random: np.random.Generator) -> Floats:
    """A figure on a stump, about 1.2 high: body, head, and arms that reach out."""
    return np.concatenate(
        [
            box(500, (-0.25, -0.3, -0.25), (0.25, 0, 0.25), random),
            sphere(900, np.array([0, -0.6, 0]), 0.3, random),
            sphere(500, np.array([0, -1.02, 0]), 0.18, random),
            box(200, (-0.55, -0.75, -0.05), (0.55, -0.68, 0.05), random),
        ]
    )


def _arc(
    count: int,
    degrees: float,
    reach: float,
    heights: tuple[float, float],
    target: Floats,
    random: np.random.Generator,
    aim: float = 0.05,
) -> Floats:
    """Cameras on an arc about the y axis, on the side of -z, that look near `target`."""
    poses = []
    for turn in np.radians(np.linspace(-degrees / 2, degrees / 2, count)):
        eye = np.array([np.sin(turn), 0, -np.cos(turn)]) * reach * random.uniform(0.95, 1.05)
        eye[1] = random.uniform(*heights)
        poses.append(look_at(eye, target + aim * random.normal(size=3)))
    return np.stack(poses)


def _ring(
    count: int, near: float, far: float, random: np.random.Generator
) -> list[tuple[float, float]]:
    turns, reaches = 2 * np.pi * random.random(count), random.uniform(near, far, count)
    return list(zip(reaches * np.cos(turns), reaches * np.sin(turns), strict=True))


def _filmed(
    scene_type: str, poses: Floats, truth: Floats, others: list[Floats], seed: int, most: int = 3000
) -> KnownScene:
    """The filmed scene, turned, moved and scaled by chance."""
    model = film(poses, np.concatenate([truth, *others]), seed, most)
    model, scale, turn, shift = moved(model, seed)
    return KnownScene(scene_type, model, scale * truth @ turn.T + shift)


def _with_background(
    points: Floats, share: float, nearest: float, random: np.random.Generator
) -> Floats:
    """Add points 5 to 100 times as far as `nearest`, until they are this share of all."""
    count = int(len(points) * share / (1 - share))
    away = random.normal(size=(count, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    reach = nearest * 5 * 20 ** random.random((count, 1))
    return np.concatenate([points, CENTER + reach * away])
