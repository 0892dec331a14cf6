"""Cameras that pictures and films of a scene are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from maquette.recon.pictures.capture import Cameras, is_circled
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

FloatArray = NDArray[np.floating]
SIDES = 8
_SMOOTH_SHARE = 0.04  # of a path's length: the σ of its smoothing
_LOOK = 0.5  # how much a turn of the view counts beside a step, in radii of the cameras' places


def sides(frames: Sequence[Frame], region: Region, up: FloatArray) -> list[Frame]:
    """Eight views: all round what was walked around, else those photos that differ most.

    A view of a round stands at the median distance and height of the cameras, so that most are
    no photo's own: there spikes and fog show.
    """
    cameras = Cameras.of(frames, [frame.file_path for frame in frames])
    center = np.asarray(region.center)
    offsets = cameras.eyes - center
    across, away = _level_axes(up, offsets[0])
    local = np.stack([offsets @ away, offsets @ across, offsets @ up], axis=1)
    if not is_circled(cameras, region, up):
        return [frames[index] for index in _differing(cameras, SIDES)]
    level, height = np.median(np.hypot(local[:, 0], local[:, 1])), np.median(local[:, 2])
    angles = np.arange(SIDES) * 2 * np.pi / SIDES
    return [
        replace(frames[0], world_from_cam=looking_at(
            center + level * (np.cos(angle) * away + np.sin(angle) * across) + height * up,
            center, up,
        ))
        for angle in angles
    ]  # fmt: skip


def looking_at(eye: FloatArray, target: FloatArray, up: FloatArray) -> NDArray[np.float64]:
    """The pose [4, 4], world from camera, of a level camera at `eye` that sees `target`."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
    return pose


def fly_through(frames: Sequence[Frame], count: int) -> list[Frame]:
    """A smooth path of `count` cameras along those of the photos, with the first one's lens.

    In the order of their names, or of the shortest steps where that path is shorter: photos of
    a walk lie in order, a collection does not.
    """
    cameras = Cameras.of(frames, [frame.file_path for frame in frames])
    features = _features(cameras)
    order = _shortest(features)
    named = np.argsort([frame.file_path for frame in frames], kind="stable")
    if _length(features[named]) <= _length(features[order]):
        order = named
    poses = cameras.world_from_cam[order]
    places = np.concatenate([[0], np.cumsum(_steps(features[order]))])
    wanted = np.linspace(0, places[-1], count)
    rows = poses[:, :3].reshape(len(poses), 12)
    path = np.stack([np.interp(wanted, places, column) for column in rows.T], axis=1)
    path = gaussian_filter1d(path, _SMOOTH_SHARE * count, axis=0, mode="nearest")
    lens = frames[0].intrinsics
    return [Frame(f"{number:06d}", _rigid(row), lens) for number, row in enumerate(path)]


def _rigid(row: FloatArray) -> NDArray[np.float64]:
    """The pose nearest to a mean of poses [12]: its rotation is made orthogonal again."""
    pose = np.eye(4)
    pose[:3] = row.reshape(3, 4)
    left, _, right = np.linalg.svd(pose[:3, :3])
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    pose[:3, :3] = turn
    return pose


def _level_axes(up: FloatArray, toward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors across `up`: the second as near to `toward` as can be."""
    away = toward - (toward @ up) * up
    if np.linalg.norm(away) < 1e-9:
        away = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    away /= np.linalg.norm(away)
    return np.cross(up, away), away


def _features(cameras: Cameras) -> FloatArray:
    """Places and directions on one scale, [N, 6]."""
    offsets = cameras.eyes - cameras.eyes.mean(axis=0)
    size = np.linalg.norm(offsets, axis=1).mean() or 1.0
    features: FloatArray = np.concatenate([offsets / size, _LOOK * cameras.axes], axis=1)
    return features


def _differing(cameras: Cameras, count: int) -> list[int]:
    features = _features(cameras)
    chosen = [0]
    distance = np.full(len(features), np.inf)
    while len(chosen) < min(count, len(features)):
        gap = np.linalg.norm(features - features[chosen[-1]], axis=1)
        distance = np.minimum(distance, gap)
        chosen.append(int(distance.argmax()))
    return sorted(chosen)


def _shortest(features: FloatArray) -> NDArray[np.intp]:
    """An order of short steps: always on to the nearest that is left, from the outermost."""
    left = list(range(len(features)))
    order = [left.pop(int(np.linalg.norm(features, axis=1).argmax()))]
    while left:
        gaps = np.linalg.norm(features[left] - features[order[-1]], axis=1)
        order.append(left.pop(int(gaps.argmin())))
    return np.array(order)


def _steps(features: FloatArray) -> FloatArray:
    steps: FloatArray = np.linalg.norm(np.diff(features, axis=0), axis=1)
    return np.maximum(steps, 1e-9)


def _length(features: FloatArray) -> float:
    return float(_steps(features).sum())
