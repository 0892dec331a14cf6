"""Distances between surfaces, with two-sided bounds."""

import numpy as np
import pytest
import trimesh

from maquette.recon.evaluate.surfaces import compare_surfaces, crop, nearest
from maquette.recon.evaluate.triangle_distance import sample_evenly, to_triangles
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.triangles import TriangleMesh

SAMPLES = 10_000


def sphere(radius, subdivisions=5, center=(0.0, 0.0, 0.0)):
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return TriangleMesh(np.asarray(made.vertices) + center, np.asarray(made.faces))


def slab(height, half=1.0):
    vertices = [[-half, -half, height], [half, -half, height], [half, half, height],
                [-half, half, height]]  # fmt: skip
    return TriangleMesh(np.array(vertices), np.array([[0, 1, 2], [0, 2, 3]]))


def test_a_surface_is_at_no_distance_from_itself():
    errors = compare_surfaces(sphere(1.0), sphere(1.0), None, 1e-3, SAMPLES)
    assert errors.chamfer < 1e-7
    assert errors.f_score == 1.0


@pytest.mark.parametrize("grown", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("subdivisions", [3, 5])
def test_a_grown_ball_is_as_far_as_it_grew(grown, subdivisions):
    truth, result = sphere(1.0, subdivisions), sphere(1.0 + grown, subdivisions)
    errors = compare_surfaces(result, truth, None, 0.5 * grown, SAMPLES)
    assert errors.accuracy == pytest.approx(grown, rel=0.02)
    assert errors.completeness == pytest.approx(grown, rel=0.02)
    assert errors.f_score == 0.0
    wide = compare_surfaces(result, truth, None, 1.3 * grown, SAMPLES)
    assert wide.f_score > 0.995 and wide.f_score_fine == 0.0
    assert compare_surfaces(result, truth, None, 5.2 * grown, SAMPLES).f_score_fine > 0.995


def test_a_missing_half_spoils_completeness_only():
    truth = sphere(1.0)
    half = crop(truth, np.array([[-2, 2], [-2, 2], [0.0, 2]]))
    errors = compare_surfaces(half, truth, None, 0.05, SAMPLES)
    assert errors.accuracy < 1e-7
    assert errors.precision == 1.0
    # chord from a point of the lower half to the equator: mean of 2 sin(a/2) over the half
    assert errors.completeness == pytest.approx(0.276, rel=0.08)
    assert 0.5 < errors.recall < 0.56


def test_what_lies_outside_the_box_does_not_count():
    truth, box = sphere(1.0), np.array([[-1.5, 1.5]] * 3)
    both = sphere(1.0)
    far = sphere(0.5, 3, (4.0, 0.0, 0.0))
    result = TriangleMesh(
        np.concatenate([both.vertices, far.vertices]),
        np.concatenate([both.faces, far.faces + len(both.vertices)]),
    )
    assert compare_surfaces(result, truth, box, 0.01, SAMPLES).accuracy < 1e-7
    assert compare_surfaces(result, truth, None, 0.01, SAMPLES).accuracy > 0.1
    assert compare_surfaces(far, truth, box, 0.01, SAMPLES) is None


def test_large_faces_are_met_exactly():
    errors = compare_surfaces(slab(0.03), slab(0.0), None, 0.01, 500)
    assert errors.accuracy == pytest.approx(0.03, rel=1e-9)
    assert errors.completeness == pytest.approx(0.03, rel=1e-9)


def test_distances_agree_with_brute_force():
    random = np.random.default_rng(0)
    mesh = sphere(1.0, 2)
    points = random.normal(size=(200, 3))
    corners = np.broadcast_to(mesh.vertices[mesh.faces], (200, len(mesh.faces), 3, 3))
    expected = to_triangles(points[:, None], corners).min(axis=1)
    np.testing.assert_allclose(nearest(points, mesh, 5000)[0], expected, atol=2e-4)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("corners", [[[0, 0, 0]] * 3, [[0, 0, 0], [0, 0, 0], [0, 0, 1e-20]]])
def test_triangles_without_area_are_points_or_lines(corners, precision):
    points = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    found = to_triangles(points, np.array([corners, corners], dtype=precision))
    assert found.tolist() == [5.0, 0.0]


def test_point_to_triangle_agrees_with_a_dense_search():
    random = np.random.default_rng(1)
    corners, points = random.normal(size=(40, 3, 3)), random.normal(size=(40, 3))
    a, b = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201))
    kept = a + b <= 1
    weights = np.stack([1 - a - b, a, b], axis=-1)[kept]
    dense = np.linalg.norm(points[:, None] - weights @ corners, axis=2).min(axis=1)
    found = to_triangles(points, corners)
    assert (found <= dense + 1e-12).all()
    np.testing.assert_allclose(found, dense, atol=0.02)


def test_samples_are_even_by_area():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 1, 0.0]])
    mesh = TriangleMesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    points, faces = sample_evenly(mesh, 40_000, 0)
    assert (faces == 1).mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(points[faces == 0].mean(axis=0), [1 / 3, 1 / 3, 0], atol=0.01)
    again, _ = sample_evenly(mesh, 40_000, 0)
    np.testing.assert_array_equal(points, again)


def test_normals_of_a_turned_plane_differ_by_its_angle():
    turn = np.radians(10.0)
    flat = slab(0.0)
    vertices = flat.vertices + np.outer(flat.vertices[:, 0], [0, 0, np.tan(turn)])
    tilted = TriangleMesh(vertices, flat.faces)
    errors = compare_surfaces(tilted, flat, None, 0.01, SAMPLES)
    assert errors.normal_consistency == pytest.approx(np.cos(turn), rel=1e-9)
    over = TriangleMesh(flat.vertices, flat.faces[:, ::-1])  # which side is out does not count
    assert compare_surfaces(over, flat, None, 0.01, SAMPLES).normal_consistency == 1.0


def test_normals_of_a_ball_agree_with_a_coarser_one_up_to_its_facets():
    errors = compare_surfaces(sphere(1.0, 2), sphere(1.0, 5), None, 0.01, SAMPLES)
    assert 0.985 < errors.normal_consistency < 0.998


def test_points_on_the_surface_are_accurate_and_as_complete_as_they_are_dense():
    truth = sphere(1.0)
    points, faces = sample_evenly(truth, 4000, 3)
    normals = trimesh.Trimesh(truth.vertices, truth.faces, process=False).face_normals[faces]
    errors = compare_surfaces(PointCloud(points, normals), truth, None, 0.05, SAMPLES)
    assert errors.accuracy < 1e-7 and errors.precision == 1.0
    # n points a unit of area leave a mean gap of 1 / (2 sqrt(n))
    expected = 0.5 / np.sqrt(4000 / (4 * np.pi))
    assert errors.completeness == pytest.approx(expected, rel=0.05)
    assert 0.995 < errors.normal_consistency <= 1
    bare = compare_surfaces(PointCloud(points), truth, None, 0.05, SAMPLES)
    assert bare.normal_consistency is None and bare.chamfer == errors.chamfer
    box = np.array([[5.0, 6.0]] * 3)
    assert compare_surfaces(PointCloud(points), truth, box, 0.05, SAMPLES) is None
