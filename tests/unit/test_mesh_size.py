"""Meshes with more faces than are handled at once, and the coarser mesh of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from maquette.recon.mesh import cleaning, triangles
from maquette.recon.mesh.cleaning import drop_degenerate, face_components, is_watertight
from maquette.recon.mesh.coarsening import coarsened
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.triangles import TriangleMesh, face_cross, keep_faces, vertex_normals

BOX = [[-1, 1]] * 3


@pytest.fixture(scope="module")
def ball() -> TriangleMesh:
    return extract_surface(lambda x: np.linalg.norm(x, axis=1) - 0.7, BOX, 48, 48)


def test_chunks_change_nothing(ball: TriangleMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = TriangleMesh(ball.vertices, np.concatenate([ball.faces, [[3, 4, 4]]]).astype(np.int32))
    whole = face_cross(ball), vertex_normals(ball), drop_degenerate(flat).faces
    monkeypatch.setattr(triangles, "_FACES_AT_ONCE", 1000)
    parts = face_cross(ball), vertex_normals(ball), drop_degenerate(flat).faces
    for a, b in zip(whole, parts, strict=True):
        assert np.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("at_once", [1 << 20, 1000, 1])
def test_parts_that_join_only_in_a_later_chunk_are_one(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strip whose even faces come first; a second, shorter one; and a single face."""
    monkeypatch.setattr(triangles, "_FACES_AT_ONCE", at_once)
    strip = np.arange(9)[:, None] + np.arange(3)
    faces = np.concatenate([[[30, 31, 32]], strip[::2], 20 + strip[:3], strip[1::2]])
    mesh = TriangleMesh(np.zeros((33, 3)), faces.astype(np.int32))
    assert face_components(mesh).tolist() == [2] + [0] * 5 + [1] * 3 + [0] * 4


@pytest.mark.parametrize("at_once", [1 << 21, 500, 7])
def test_one_missing_or_turned_face_opens_the_mesh(
    ball: TriangleMesh, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "_VERTICES_AT_ONCE", at_once)
    assert is_watertight(ball)
    middle = len(ball.faces) // 2
    chosen = np.arange(len(ball.faces)) != middle
    assert not is_watertight(keep_faces(ball, chosen))
    turned = ball.faces.copy()
    turned[middle] = turned[middle][::-1]
    assert not is_watertight(TriangleMesh(ball.vertices, turned))


def test_a_coarser_mesh_keeps_shape_normals_and_colours(ball: TriangleMesh) -> None:
    outwards = ball.vertices / np.linalg.norm(ball.vertices, axis=1, keepdims=True)
    red = np.tile([1.0, 0.0, 0.0], (len(ball.vertices), 1))
    fine = TriangleMesh(ball.vertices, ball.faces, outwards, red)
    coarse = coarsened(fine, 12)
    assert len(coarse.faces) < len(fine.faces) / 4
    assert coarse.normals is not None and coarse.colors is not None
    radius = np.linalg.norm(coarse.vertices, axis=1)
    assert radius.min() > 0.66 and radius.max() < 0.72
    assert (face_cross(coarse) * coarse.vertices[coarse.faces[:, 0]]).sum(axis=1).min() > 0
    assert np.allclose(np.linalg.norm(coarse.normals, axis=1), 1.0)
    assert np.array_equal(coarse.colors, np.tile([1.0, 0.0, 0.0], (len(coarse.vertices), 1)))
