"""Pyramids of cameras, and which one a ray meets."""

from __future__ import annotations

import numpy as np
import pytest

from maquette.scene.transforms import Intrinsics
from maquette.viewer import frustums

LENS = Intrinsics(64, 48, 50.0, 55.0, 30.0, 26.0)


def scattered(count: int, seed: int = 0) -> np.ndarray:
    """Camera poses anywhere in a box of 10, turned anyhow, [count, 4, 4]."""
    random = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    turns = np.linalg.qr(random.normal(size=(count, 3, 3)))[0]
    poses[:, :3, :3] = turns * np.sign(np.linalg.det(turns))[:, None, None]
    poses[:, :3, 3] = random.uniform(-5, 5, (count, 3))
    return poses


def test_corners_project_to_the_pictures_corners() -> None:
    pose = scattered(1)
    (corners,) = frustums.pyramids(pose, [LENS], 0.7)
    assert corners[0] == pytest.approx(pose[0, :3, 3])
    local = (corners[1:] - pose[0, :3, 3]) @ pose[0, :3, :3]
    assert local[:, 2] == pytest.approx(np.full(4, 0.7))
    pixels = local[:, :2] / local[:, 2:] * [LENS.fl_x, LENS.fl_y] + [LENS.cx, LENS.cy]
    assert pixels == pytest.approx(np.array([[0, 0], [64, 0], [64, 48], [0, 48]]), abs=1e-9)


def test_each_pyramid_has_eight_edges_between_its_own_corners() -> None:
    corners = frustums.pyramids(scattered(3), [LENS] * 3, 1.0)
    edges = frustums.edges(corners)
    assert edges.shape == (24, 2, 3)
    for number, own in enumerate(corners):
        known = {tuple(place): name for name, place in enumerate(own)}
        named = {
            tuple(sorted(known[tuple(end)] for end in edge)) for edge in edges[8 * number :][:8]
        }
        assert named == {(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (1, 4)}


def test_a_ray_meets_the_nearest_pyramid_and_none_beside_them() -> None:
    corners = frustums.pyramids(scattered(200), [LENS] * 200, 0.5)
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        origin, direction = random.uniform(-8, 8, 3), random.normal(size=3)
        met = frustums.first_hit(corners, origin, direction)
        assert met == slowly(corners, origin, direction)
        hits += met is not None
    assert 5 < hits < 395
    assert frustums.first_hit(corners, [0, 0, 100], [0, 0, 1]) is None


def slowly(corners: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> int | None:
    """The same by solving, for each triangle, origin + t d = a + u (b - a) + v (c - a)."""
    triangles = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 1), (1, 2, 3), (1, 3, 4)]
    a, b, c = np.moveaxis(corners[:, triangles], 2, 0)
    columns = np.stack([np.broadcast_to(-direction, a.shape), b - a, c - a], axis=-1)
    t, u, v = np.moveaxis(np.linalg.solve(columns, (origin - a)[..., None])[..., 0], -1, 0)
    away = np.where((t > 0) & (u >= 0) & (v >= 0) & (u + v <= 1), t, np.inf).min(axis=1)
    return int(away.argmin()) if np.isfinite(away).any() else None
