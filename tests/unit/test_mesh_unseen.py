"""What no camera saw: shapes in closed form, seen by known cameras."""

from dataclasses import replace

import numpy as np
import pytest

from maquette.recon.mesh import visibility
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.triangles import TriangleMesh, face_cross
from maquette.recon.mesh.unseen import grey_where_unseen, treat_unseen
from maquette.recon.mesh.visibility import count_views
from maquette.scene.transforms import Frame, Intrinsics
from synthetic_scene import look_at

BOX = np.array([[-1.0, 1.0]] * 3)
LENS = Intrinsics(80, 80, 80.0, 80.0, 40.0, 40.0)
CELL = 2.0 / 96


def surface(distance) -> TriangleMesh:
    return extract_surface(distance, BOX, 96, 96, lambda done, total: None)


def cameras(*eyes):
    poses = [look_at(np.array(eye), np.zeros(3)) for eye in eyes]
    return [Frame(f"images/{i}.png", pose, LENS) for i, pose in enumerate(poses)]


def circle(count, lift_deg=30.0, distance=3.0):
    turns, lift = 2 * np.pi * np.arange(count) / count, np.radians(lift_deg)
    return [
        distance * np.array([np.cos(t) * np.cos(lift), np.sin(t) * np.cos(lift), np.sin(lift)])
        for t in turns
    ]


def treat(mesh, frames, treatment="drop", mask=lambda number: None):
    return treat_unseen(mesh, treatment, frames, mask, 2 * CELL)


def area(mesh):
    return np.linalg.norm(face_cross(mesh), axis=1).sum() / 2


def cube(points):
    return np.abs(points).max(axis=1) - 0.5


def vase(points):
    """A cup of 0.4 radius, 1.2 high, with a bore of 0.22 down to its foot."""
    across, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    outside = np.maximum(across - 0.4, np.abs(z) - 0.6)
    return np.maximum(outside, -np.maximum(across - 0.22, -0.45 - z))


@pytest.mark.parametrize(
    ("eyes", "sides"),
    [
        (([2.4, 2.3, 2.5], [2.5, 2.4, 2.3]), [(0, 1), (1, 1), (2, 1)]),
        (([3.0, 2.0, 0.1], [2.0, 3.0, -0.1]), [(0, 1), (1, 1)]),
    ],
)
def test_of_a_cube_the_sides_that_cameras_see_remain(eyes, sides):
    closed = surface(cube)
    left = treat(closed, cameras(*eyes)).mesh
    assert area(left) == pytest.approx(area(closed) * len(sides) / 6, rel=0.06)
    for axis, sign in sides:
        at = np.abs(left.vertices[left.faces][..., axis] * sign - 0.5).max(axis=1) < 1e-3
        assert np.linalg.norm(face_cross(left)[at], axis=1).sum() / 2 > 0.88
    for axis, sign in {(axis, sign) for axis in range(3) for sign in (1, -1)} - set(sides):
        at = np.abs(left.vertices[left.faces][..., axis] * sign - 0.5).max(axis=1) < 1e-3
        assert np.linalg.norm(face_cross(left)[at], axis=1).sum() / 2 < 0.02


def test_one_camera_of_two_is_not_enough():
    front, back = [3.0, 0.1, 0.1], [-3.0, 0.1, 0.1]
    treated = treat(surface(cube), cameras(front, back))
    assert treated.is_blind and treated.numbers["unseen_share"] == 1.0
    assert len(treat(surface(cube), cameras(front)).mesh.faces)


def test_a_deep_pocket_is_not_torn():
    """Twelve cameras can not see the bottom of the bore, nor the foot from below."""
    mesh = surface(vase)
    treated = treat(mesh, cameras(*circle(12, 20.0)))
    depth = np.hypot(*mesh.vertices[:, :2].T)
    views = count_views(mesh, cameras(*circle(12, 20.0)), tolerance=2 * CELL)
    bore = (depth < 0.25) & (mesh.vertices[:, 2] < 0.3) & (mesh.vertices[:, 2] > -0.5)
    assert (views[bore] < 2).mean() > 0.5  # unseen …
    left = treated.mesh
    inside = (np.hypot(*left.vertices[:, :2].T) < 0.25) & (np.abs(left.vertices[:, 2]) < 0.5)
    was = (depth < 0.25) & (np.abs(mesh.vertices[:, 2]) < 0.5)
    assert inside.sum() == was.sum()  # … and kept whole


def test_a_bulge_behind_what_was_seen_goes():
    """A wall seen from the front, with a ball for its back."""

    def wall(points):
        plate = np.maximum(np.abs(points[:, 0]) - 0.05, np.abs(points[:, 1:]).max(axis=1) - 0.7)
        return np.minimum(plate, np.linalg.norm(points - [-0.2, 0, 0], axis=1) - 0.24)

    left = treat(surface(wall), cameras([3, 0.5, 0.2], [3, -0.5, 0.2], [3, 0, -0.3])).mesh
    assert area(left) == pytest.approx(1.4**2, rel=0.06)
    assert left.vertices[:, 0].min() > -0.06


def test_a_narrow_arm_of_the_seen_part_goes():
    """A mask lets cameras see half of a plate, and a strip of two pixels beyond."""

    def plate(points):
        return np.maximum(np.abs(points[:, 0]) - 0.05, np.abs(points[:, 1:]).max(axis=1) - 0.7)

    mask = np.zeros((160, 160), bool)
    mask[:, :80] = mask[78:80] = True
    eyes = cameras([3, 0.01, 0.0], [3, -0.01, 0.0])
    left = treat(surface(plate), eyes, mask=lambda number: mask).mesh
    assert area(left) == pytest.approx(0.7 * 1.4, rel=0.06)
    across = left.vertices[:, 1] if left.vertices[:, 1].mean() > 0 else -left.vertices[:, 1]
    assert across.min() > -0.1
    on_rim = (np.abs(across) < 0.1) & (left.vertices[:, 0] > 0.04)
    assert np.std(across[on_rim & (across < np.median(across[on_rim]))]) < 2 * CELL


def test_a_small_body_that_stands_alone_stays():
    def plate_and_ball(points):
        plate = np.maximum(np.abs(points[:, 2]) - 0.05, np.abs(points[:, :2]).max(axis=1) - 0.9)
        return np.minimum(plate, np.linalg.norm(points - [0, 0, 0.4], axis=1) - 0.06)

    left = treat(surface(plate_and_ball), cameras(*circle(12, 25.0))).mesh
    assert (left.vertices[:, 2] > 0.3).any()


def test_fill_marks_and_keep_leaves_alone():
    mesh = surface(cube)
    mesh = replace(mesh, colors=np.ones(mesh.vertices.shape, np.float32))
    eyes = cameras([2.4, 2.3, 2.5], [2.5, 2.4, 2.3])
    assert treat(mesh, eyes, "keep").mesh is mesh
    filled = treat(mesh, eyes, "fill")
    assert filled.mesh.faces is mesh.faces and filled.mesh.seen is not None
    assert filled.mesh.seen.mean() == pytest.approx(0.5, abs=0.03)
    colors = grey_where_unseen(filled.mesh).colors
    np.testing.assert_array_equal(np.unique(colors), [0.5, 1.0])
    assert (colors[filled.mesh.seen] == 1.0).all()


def test_chunks_and_repetition_change_nothing(monkeypatch):
    mesh, eyes = surface(vase), cameras(*circle(12, 20.0))
    whole = count_views(mesh, eyes, tolerance=2 * CELL)
    np.testing.assert_array_equal(count_views(mesh, eyes, tolerance=2 * CELL), whole)
    monkeypatch.setattr(visibility, "_CHUNK_VERTICES", 1000)
    np.testing.assert_array_equal(count_views(mesh, eyes, tolerance=2 * CELL), whole)
    first, second = treat(mesh, eyes).mesh, treat(mesh, eyes).mesh
    np.testing.assert_array_equal(first.faces, second.faces)
    np.testing.assert_array_equal(first.vertices, second.vertices)


def test_without_cameras_nothing_is_dropped():
    treated = treat(surface(cube), [])
    assert treated.is_blind and "no photo sees this mesh" in treated.remark
    assert len(treated.mesh.faces)
