"""Smoothing, holes, long faces and decimation, on shapes in closed form."""

from dataclasses import replace

import numpy as np
import pytest

from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.cleaning import drop_crumbs, drop_long, is_watertight
from maquette.recon.mesh.clipping import clip_to_box
from maquette.recon.mesh.coloring import colored_by_points
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.holes import border_loops, close_holes
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.obj import write_obj
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.smoothing import adjacent_faces, denoise, smooth
from maquette.recon.mesh.triangles import TriangleMesh, face_cross, keep_faces, unit_vectors

BOX = np.array([[-1.0, 1.0]] * 3)


def ball(radius=0.7, cells=40):
    return extract_surface(lambda p: np.linalg.norm(p, axis=1) - radius, BOX, cells, 64)


def plane(side=41):
    axis = np.linspace(-1.0, 1.0, side)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    return TriangleMesh(np.stack([x, y, 0 * x], -1).reshape(-1, 3), faces.astype(np.int32))


def roof():
    """Two halves of a plane that meet at a right angle along x = 0."""
    flat = plane()
    return replace(flat, vertices=flat.vertices - np.abs(flat.vertices[:, :1]) * [0.0, 0.0, 1.0])


def noisy(mesh, sigma):
    random = np.random.default_rng(0)
    return replace(mesh, vertices=mesh.vertices + random.normal(0, sigma, mesh.vertices.shape))


def volume(mesh):
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def roof_error(mesh):
    """Mean distance of inner vertices to the roof's planes."""
    x, y, z = mesh.vertices.T
    inner = (np.abs(x) < 0.9) & (np.abs(y) < 0.9)
    return np.abs(z + np.abs(x))[inner].mean() / 2**0.5


def test_smoothing_takes_noise_and_no_volume():
    whole = ball()
    rough = noisy(whole, 0.01)
    done = smooth(rough, 5)
    error = [np.abs(np.linalg.norm(m.vertices, axis=1) - 0.7).mean() for m in (rough, done)]
    assert error[1] < 0.5 * error[0]
    assert abs(volume(done) / volume(whole) - 1) < 0.005
    assert smooth(rough, 0) is rough


def test_an_open_border_stays_where_it_is():
    rough = noisy(plane(), 0.01)
    edge = np.abs(plane().vertices[:, :2]).max(axis=1) == 1.0
    for done in (smooth(rough, 5), denoise(rough, 3, 20.0)):
        np.testing.assert_array_equal(done.vertices[edge], rough.vertices[edge])
        assert (
            np.abs(done.vertices[~edge, 2]).mean() < 0.8 * np.abs(rough.vertices[~edge, 2]).mean()
        )


def test_denoising_keeps_an_edge_that_smoothing_rounds():
    rough = noisy(roof(), 0.004)
    error = {name: roof_error(mesh) for name, mesh in (
        ("rough", rough), ("denoised", denoise(rough, 5, 30.0)), ("smoothed", smooth(rough, 30)),
    )}  # fmt: skip
    assert error["denoised"] < 0.6 * error["rough"]
    ridge = np.abs(roof().vertices[:, 0]) < 1e-9
    ridge &= np.abs(roof().vertices[:, 1]) < 0.9
    assert (
        denoise(rough, 5, 30.0).vertices[ridge, 2].mean()
        > smooth(rough, 30).vertices[ridge, 2].mean()
    )
    normals = unit_vectors(face_cross(denoise(rough, 5, 30.0)))
    assert np.quantile(np.abs(normals[:, 0]), 0.1) > 0.6  # slopes stay slopes of 45 degrees


def test_adjacent_faces_share_an_edge_each_pair_once():
    mesh = ball(cells=12)
    one, other = adjacent_faces(mesh.faces)
    assert len(one) == 3 * len(mesh.faces) // 2
    shared = [len(set(a) & set(b)) for a, b in zip(mesh.faces[one], mesh.faces[other], strict=True)]
    assert set(shared) == {2}


def hole(mesh, size):
    return keep_faces(
        mesh, np.linalg.norm(mesh.vertices[mesh.faces].mean(1) - [0, 0, 0.7], axis=1) > size
    )


def test_holes_are_closed_up_to_a_size():
    whole = ball()
    holed = hole(whole, 0.12)
    (loop,) = border_loops(holed.faces)
    same, none = close_holes(holed, len(loop) - 1)
    closed, count = close_holes(replace(holed, colors=np.full_like(holed.vertices, 0.5)), len(loop))
    assert (none, count) == (0, 1)
    assert same is holed
    assert is_watertight(closed)
    assert abs(volume(closed) / volume(whole) - 1) < 0.01
    assert closed.colors is not None and np.allclose(closed.colors, 0.5)


def test_a_missing_triangle_is_put_back():
    whole = ball(cells=10)
    closed, count = close_holes(keep_faces(whole, np.arange(len(whole.faces)) != 7), 3)
    assert count == 1 and is_watertight(closed)
    assert len(closed.vertices) == len(whole.vertices)


def test_borders_that_meet_in_a_vertex_are_left_open():
    mesh = plane(5)
    middle = 12
    around = (mesh.faces == middle).any(axis=1)
    bow = keep_faces(mesh, ~(around & (np.arange(len(mesh.faces)) % 2 == 0)))
    closed, _ = close_holes(bow, 100)
    assert len(closed.faces) >= len(bow.faces)


def test_long_faces_and_crumbs_go():
    mesh = ball()
    far = mesh.vertices.max(axis=0) + 9.0
    extra = np.array([[0, 1, len(mesh.vertices)]], np.int32)
    bridged = TriangleMesh(np.vstack([mesh.vertices, far]), np.vstack([mesh.faces, extra]))
    assert len(drop_long(bridged, 60.0).faces) == len(mesh.faces)
    assert drop_long(bridged, 0.0) is bridged
    crumb = np.array([[0, 1, 2]], np.int32) + len(mesh.vertices)
    loose = TriangleMesh(
        np.vstack([mesh.vertices, np.eye(3, dtype=np.float32)]), np.vstack([mesh.faces, crumb])
    )
    assert len(drop_crumbs(loose, 2).faces) == len(mesh.faces)
    assert drop_crumbs(mesh, 2) is mesh


def test_a_mesh_is_cut_at_a_box():
    box = np.array([[-0.3, 1.0], [-1.0, 0.2], [-1.0, 1.0]])
    cut = clip_to_box(ball(), box)
    assert (cut.vertices >= box[:, 0] - 1e-5).all() and (cut.vertices <= box[:, 1] + 1e-5).all()
    assert np.isclose(cut.vertices[:, 0].min(), -0.3, atol=1e-5)
    whole = ball()
    assert clip_to_box(whole, BOX) is whole


def test_decimation_keeps_shape_and_colours():
    pytest.importorskip("fast_simplification", reason="`make deps` installs it")
    whole = ball()
    colors = (whole.vertices[:, :1] > 0) * np.ones(3, np.float32)
    small = decimated(replace(whole, colors=colors), 600)
    assert 500 <= len(small.faces) <= 620
    assert abs(volume(small) / volume(whole) - 1) < 0.02
    assert small.colors is not None
    right = small.vertices[:, 0] > 0.1
    assert (small.colors[right] == 1).all() and (
        small.colors[small.vertices[:, 0] < -0.1] == 0
    ).all()
    assert decimated(whole, len(whole.faces)) is whole


def test_colours_are_those_of_near_points():
    mesh = ball()
    points = mesh.vertices.astype(np.float64) * 1.001
    left = points[:, 0] < 0
    colors = np.where(left[:, None], [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    found = colored_by_points(mesh, PointCloud(points, None, colors)).colors
    away = np.abs(mesh.vertices[:, 0]) > 0.1
    np.testing.assert_allclose(found[away], (colors / 255)[away], atol=1e-3)
    assert colored_by_points(mesh, PointCloud(points)).colors is None


def test_an_obj_file_reads_back(tmp_path):
    mesh = replace(
        ball(cells=12), colors=np.linspace(0, 1, 3 * len(ball(cells=12).vertices)).reshape(-1, 3)
    )
    write_obj(tmp_path / "a.obj", mesh, ("a comment",))
    back = read_mesh(tmp_path / "a.obj")
    np.testing.assert_allclose(back.vertices, mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(back.faces, mesh.faces)
    np.testing.assert_allclose(back.colors, mesh.colors, atol=3e-3)
