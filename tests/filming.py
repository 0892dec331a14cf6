"""What a film of known surfaces becomes: a sparse model with tracks, noise and wrong points.

A picture sees a sample of a surface when it lies in the frame and no other sample hides it; a
coarse depth buffer decides. Frames: world with y down, cameras as in COLMAP.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from maquette.scene.colmap_model import Observations, SparseModel
from maquette.scene.lens_models import BY_ID, Lens

Floats = NDArray[np.float64]
LENS = Lens(BY_ID[1], 640, 480, (520.0, 520.0, 320.0, 240.0))
_CELLS = (64, 48)  # of the depth buffer
_HIDDEN = 1.06  # times the nearest depth in a cell: behind something
_FOUND = 0.5  # share of the sightings in which a feature is found
_NOISE = 0.002  # of the distance
_WRONG = 0.01  # share of points that are wrong matches


def look_at(eye: Floats, target: Floats, roll: float = 0.0) -> Floats:
    """A camera [4, 4] at `eye` that looks at `target`; up is -y, turned by `roll` radians."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, [0.0, -1.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = forward, eye
    return pose


def film(poses: Floats, surfaces: Floats, seed: int, most: int = 3000) -> SparseModel:
    """The sparse model that pictures at `poses` [N, 4, 4] give of surface samples [S, 3]."""
    random = np.random.default_rng(seed)
    seen = np.stack([sees(pose, surfaces) for pose in poses])  # [N, S]
    seen &= random.random(seen.shape) < _FOUND
    chosen = np.flatnonzero(seen.sum(axis=0) >= 2)
    chosen = random.permutation(chosen)[:most]
    away = np.linalg.norm(surfaces[chosen][:, None] - poses[:, :3, 3], axis=2).min(axis=1)
    points = surfaces[chosen] + _NOISE * away[:, None] * random.normal(size=(len(chosen), 3))
    wrong = random.random(len(chosen)) < _WRONG
    points[wrong] += away[wrong, None] * random.normal(size=(wrong.sum(), 3))
    point, image = np.nonzero(seen[:, chosen].T)
    return model_of(poses, points, Observations(point, image))


def model_of(poses: Floats, points: Floats, seen: Observations | None = None) -> SparseModel:
    """A sparse model of cameras [N, 4, 4] with one lens; without tracks, all in frame are seen."""
    if seen is None:
        shown = np.stack([in_frame(pose, points)[0] for pose in poses])
        points, shown = points[shown.sum(axis=0) >= 2], shown[:, shown.sum(axis=0) >= 2]
        seen = Observations(*np.nonzero(shown.T))
    return SparseModel(
        names=tuple(f"{number:04}.jpg" for number in range(len(poses))),
        lenses=(LENS,) * len(poses),
        world_from_cam=poses,
        points=points,
        colors=np.full((len(points), 3), 128, np.uint8),
        views=np.full(len(points), 3),
        observations=seen,
    )


def sees(pose: Floats, surfaces: Floats) -> NDArray[np.bool_]:
    """Which samples [S, 3] a picture shows, [S]."""
    inside, place, depth = in_frame(pose, surfaces)
    columns, rows = (np.where(inside[:, None], place, 0) * _CELLS).astype(int).T
    cell = rows * _CELLS[0] + columns
    nearest = np.full(_CELLS[0] * _CELLS[1], np.inf)
    np.minimum.at(nearest, cell[inside], depth[inside])
    return np.asarray(inside & (depth <= _HIDDEN * nearest[cell]))


def in_frame(pose: Floats, points: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Which points [P, 3] lie in a frame, [P]; where, 0 to 1, [P, 2]; how deep, [P]."""
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = np.maximum(local[:, 2], 1e-9)
    focal, center = np.split(np.asarray(LENS.parameters), 2)
    place = (local[:, :2] / depth[:, None] * focal + center) / (LENS.width, LENS.height)
    inside = (local[:, 2] > 0) & ((place >= 0) & (place < 1)).all(axis=1)
    return inside, place, depth


def moved(model: SparseModel, seed: int) -> tuple[SparseModel, float, Floats, Floats]:
    """The model in another world: turned, scaled and shifted by chance; and how, (s, R, t)."""
    random = np.random.default_rng(seed)
    scale, turn = random.uniform(0.1, 10), Rotation.random(rng=random).as_matrix()
    shift = 9 * random.normal(size=3)
    poses = model.world_from_cam.copy()
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    poses[:, :3, 3] = scale * model.centers @ turn.T + shift
    points = scale * model.points @ turn.T + shift
    return replace(model, world_from_cam=poses, points=points), scale, turn, shift


def sphere(count: int, center: Floats, radius: float, random: np.random.Generator) -> Floats:
    """Samples of a sphere, [count, 3]."""
    away = random.normal(size=(count, 3))
    return center + radius * away / np.linalg.norm(away, axis=1, keepdims=True)


def box(count: int, low: Floats, high: Floats, random: np.random.Generator) -> Floats:
    """Samples of a box's faces, by area, [count, 3]."""
    low, size = np.asarray(low, float), np.subtract(high, low)
    areas = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    axis = random.choice(3, count, p=areas / areas.sum())
    inside = random.random((count, 3))
    inside[np.arange(count), axis] = random.integers(0, 2, count)
    return np.asarray(low + size * inside)


def patch(count: int, low: Floats, high: Floats, random: np.random.Generator) -> Floats:
    """Samples of a flat box, [count, 3]."""
    return np.asarray(np.add(low, np.subtract(high, low) * random.random((count, 3))))


def disc(count: int, center: Floats, radius: float, random: np.random.Generator) -> Floats:
    """Samples of level ground around `center`, more of them in its middle, [count, 3]."""
    away = radius * random.random(count) * np.exp(2j * np.pi * random.random(count))
    return center + np.stack([away.real, np.zeros(count), away.imag], axis=1)
