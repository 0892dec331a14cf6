"""Marching cubes in blocks: one welded surface, whatever the block size."""

from functools import partial

import numpy as np
import pytest

from maquette.errors import ConfigError
from maquette.recon.mesh import marching
from maquette.recon.mesh.blocks import Grid, divide
from maquette.recon.mesh.cleaning import (
    count_components,
    drop_degenerate,
    euler_characteristic,
    is_watertight,
    largest_component,
)
from maquette.recon.mesh.clipping import clip_to_ball
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.sampling import PLANE_FAR, sample_block, sample_plane
from maquette.recon.mesh.triangles import TriangleMesh, face_cross

FULL = np.array([[-1.0, 1.0]] * 3)


def ball(radius, center=(0.0, 0.0, 0.0)):
    return lambda points: np.linalg.norm(points - np.asarray(center), axis=1) - radius


def torus(points):
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 0.6, points[:, 2]) - 0.2


def two_blobs(points):
    return np.minimum(ball(0.3, (-0.45, 0.0, 0.0))(points), ball(0.15, (0.5, 0.1, 0.2))(points))


def in_order(mesh):
    """Vertices and faces as sorted rows, independent of their order in the mesh."""
    rows = np.round(mesh.vertices, 5)
    corners = rows[mesh.faces]  # [F, 3, 3]
    first = np.lexsort(np.moveaxis(corners, 2, 0)[::-1], axis=-1)[:, 0]
    turned = np.take_along_axis(
        corners, ((first[:, None] + np.arange(3)) % 3)[..., None], axis=1
    ).reshape(-1, 9)
    return np.unique(rows, axis=0), turned[np.lexsort(turned.T[::-1])]


@pytest.mark.parametrize("shape", [ball(0.5), torus, two_blobs], ids=["ball", "torus", "blobs"])
@pytest.mark.parametrize(("resolution", "block_res"), [(64, 16), (64, 23), (33, 8)])
def test_blocks_give_the_mesh_of_a_single_block(shape, resolution, block_res):
    whole = extract_surface(shape, FULL, resolution, 128)
    blocks = extract_surface(shape, FULL, resolution, block_res)
    assert blocks.vertices.shape == whole.vertices.shape
    assert blocks.faces.shape == whole.faces.shape
    for ours, expected in zip(in_order(blocks), in_order(whole), strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5)
    assert len(np.unique(np.sort(blocks.faces, axis=1), axis=0)) == len(blocks.faces)
    assert is_watertight(blocks)


@pytest.mark.parametrize(
    ("shape", "characteristic", "parts"), [(ball(0.5), 2, 1), (torus, 0, 1), (two_blobs, 4, 2)]
)
def test_topology(shape, characteristic, parts):
    mesh = extract_surface(shape, FULL, 48, 16)
    assert euler_characteristic(mesh) == characteristic
    assert count_components(mesh) == parts
    assert drop_degenerate(mesh) is mesh


@pytest.mark.parametrize("shape", [ball(0.5), torus, two_blobs], ids=["ball", "torus", "blobs"])
def test_the_way_of_a_gpu_gives_the_same_mesh(shape, monkeypatch):
    expected = extract_surface(shape, FULL, 64, 23)
    monkeypatch.setattr(marching.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(marching, "march_with_warp", partial(on_cpu, marching.march_with_warp))
    mesh = extract_surface(shape, FULL, 64, 23)
    np.testing.assert_allclose(in_order(mesh)[0], in_order(expected)[0], atol=2e-5)
    assert len(mesh.faces) == len(expected.faces) and is_watertight(mesh)
    assert euler_characteristic(mesh) == euler_characteristic(expected)
    assert (face_cross(mesh) * mesh.vertices[mesh.faces[:, 0]]).sum() > 0  # outwards


def on_cpu(march, volume, device):
    assert device == "cuda"
    return march(volume, "cpu")


def test_a_field_that_rounds_differently_in_every_batch_is_still_welded():
    random = np.random.default_rng(0)

    def noisy(points):
        return ball(0.5)(points) * (1 + 1e-6 * random.normal(size=len(points)))

    mesh = extract_surface(noisy, FULL, 64, 16)
    assert is_watertight(mesh)
    assert euler_characteristic(mesh) == 2


def test_a_zero_exactly_on_grid_points_gives_no_degenerate_triangle():
    mesh = extract_surface(lambda points: points[:, 2], FULL * 0.5, 32, 8)
    assert (np.linalg.norm(face_cross(mesh), axis=1) > 0).all()
    assert np.abs(mesh.vertices[:, 2]).max() < 1e-4


def test_vertices_lie_on_the_surface_and_faces_look_outwards():
    mesh = extract_surface(ball(0.5), FULL, 64, 32)
    off = np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.5)
    step = 2 / 64
    assert 1e-7 < off.max() < step**2  # second order in the cell size, as it must be
    assert ((face_cross(mesh) * mesh.vertices[mesh.faces[:, 0]]).sum(axis=1) > 0).all()


def test_blocks_hold_every_cell_once():
    grid = Grid.over([[-1, 1], [-0.3, 0.5], [0, 0.1]], 50)
    held = np.zeros(grid.cells, dtype=int)
    for block in divide(grid, 16):
        held[tuple(slice(s, s + n) for s, n in zip(block.start, block.cells, strict=True))] += 1
    assert (held == 1).all()
    np.testing.assert_allclose(grid.position(grid.cells), [1, 0.5, 0.1])
    assert grid.step <= 2 / 50 + 1e-12


def test_the_box_is_the_limit_of_the_grid():
    box = np.array([[-0.31, 0.47], [-0.2, 0.9], [-0.45, 0.11]])
    mesh = extract_surface(ball(0.5), box, 64, 20)
    np.testing.assert_array_less(box[:, 0] - 1e-7, mesh.vertices.min(axis=0))
    np.testing.assert_array_less(mesh.vertices.max(axis=0), box[:, 1] + 1e-7)
    assert mesh.vertices[:, 0].max() == pytest.approx(0.47)
    assert mesh.vertices[:, 2].max() == pytest.approx(0.11)


def test_the_surface_is_cut_at_the_ball():
    raw = extract_surface(ball(0.9, (0.5, 0, 0)), np.array([[-1, 1]] * 3), 64, 23)
    mesh = clip_to_ball(raw)
    length = np.linalg.norm(mesh.vertices, axis=1)
    assert length.max() <= 1 + 1e-6
    rim = 0.44 / 0.5 * 0.5  # where the two spheres meet: x = (1 + 0.25 - 0.81) / (2 * 0.5)
    on_rim = length > 1 - 1e-6
    np.testing.assert_allclose(mesh.vertices[on_rim, 0], rim, atol=2e-3)
    assert count_components(mesh) == 1
    assert euler_characteristic(mesh) == 1  # a disc
    area = np.linalg.norm(face_cross(mesh), axis=1).sum() / 2
    assert area == pytest.approx(2 * np.pi * 0.9 * (rim + 0.4), rel=2e-3)  # a spherical cap


def test_clipping_leaves_a_mesh_inside_the_ball_alone():
    mesh = extract_surface(torus, FULL, 32, 32)
    clipped = clip_to_ball(mesh)
    assert len(clipped.faces) == len(mesh.faces)
    assert is_watertight(clipped)


def test_only_a_band_inside_the_ball_is_evaluated():
    asked = []

    def counting(points):
        asked.append(points)
        return ball(0.5)(points)

    extract_surface(counting, FULL, 128, 32)
    points = np.concatenate(asked)
    assert len(points) < 0.25 * 129**3
    assert np.linalg.norm(points, axis=1).max() <= 1 + 2 * np.sqrt(3) / 128 + 1e-9


@pytest.mark.parametrize("gradient", [0.3, 1.0, 1.9])
def test_no_surface_is_missed_in_fields_that_are_only_roughly_distances(gradient):
    random = np.random.default_rng(1)
    centers = random.uniform(-0.5, 0.5, (12, 3))

    def specks(points):
        away = np.linalg.norm(points[:, None] - centers, axis=2).min(axis=1)
        return gradient * (away - 0.04)

    expected = extract_surface(lambda points: away_capped(specks, points), FULL, 64, 64)
    assert count_components(extract_surface(specks, FULL, 64, 16)) == count_components(expected)


def away_capped(field, points):
    """The same zero set with values so small that nothing may be skipped."""
    return 1e-3 * field(points)


def test_a_steep_field_is_followed_from_where_it_was_seen():
    def steep(points):  # a long rod with a gradient of 6
        across = np.hypot(points[:, 0], points[:, 1]) - 0.05
        return 6 * np.maximum(across, np.abs(points[:, 2]) - 0.8)

    mesh = extract_surface(steep, FULL, 64, 64)
    assert is_watertight(mesh)
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(1.6, abs=0.02)


def test_nothing_is_found_where_the_field_has_one_sign():
    mesh = extract_surface(lambda points: np.full(len(points), 0.7), FULL, 32, 16)
    assert len(mesh.faces) == 0
    grid = Grid.over(FULL, 32)
    block = next(divide(grid, 16))
    assert sample_block(lambda points: np.full(len(points), -0.7), grid, block) is None


def test_progress_reaches_its_end():
    told = []
    extract_surface(ball(0.5), FULL, 32, 16, lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)]


def test_unusable_limits_are_named_together():
    with pytest.raises(ConfigError) as caught:
        extract_surface(ball(0.5), FULL, 7, 2000)
    assert "RESOLUTION is 7" in caught.value.detail
    assert "BLOCK_RES is 2000" in caught.value.detail


def test_the_largest_component_is_that_of_the_whole_mesh():
    """A5-16: chosen per block, a part crossing blocks would lose pieces at every border."""
    whole = largest_component(extract_surface(two_blobs, FULL, 64, 128))
    blocks = largest_component(extract_surface(two_blobs, FULL, 64, 16))
    assert len(blocks.faces) == len(whole.faces)
    assert is_watertight(blocks)
    assert blocks.vertices[:, 0].max() == pytest.approx(-0.15, abs=1e-2)


def test_degenerate_faces_go():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2.0, 0, 0]])
    faces = np.array([[0, 1, 2], [0, 0, 1], [0, 1, 3]])
    assert drop_degenerate(TriangleMesh(vertices, faces)).faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("gradient", [1.0, 6.0])
def test_slabs_laid_apart_fit_as_if_laid_together(gradient):
    def rods(points):  # along x, through all slabs
        across = [np.hypot(points[:, 1] - y, points[:, 2] - 0.1) - 0.06 for y in (-0.4, 0.3)]
        return gradient * np.maximum(np.min(across, axis=0), np.abs(points[:, 0]) - 0.8)

    whole, grid = extract_surface(rods, FULL, 64, 16), Grid.over(FULL, 64)
    count = marching.slabs(grid, 16)
    planes = [None, *(marching.plane_after(rods, grid, 16, slab) for slab in range(count))]
    found = {
        slab: list(marching.surface_in_slab(rods, grid, 16, slab, planes[slab : slab + 2]))
        for slab in reversed(range(count))
    }
    pieces = marching.Pieces(grid, 16)
    for slab in range(count):
        for _, block, vertices, faces in found[slab]:
            pieces.add(block, vertices, faces)
    parts = pieces.welded()
    assert count == 4 and is_watertight(whole)
    assert np.array_equal(parts.vertices, whole.vertices)
    assert np.array_equal(parts.faces, whole.faces)


def test_a_plane_says_how_far_the_surface_is_near_it_and_on_which_side_elsewhere():
    grid = Grid.over(FULL, 64)
    plane = sample_plane(ball(0.5), grid, 40)
    y, z = np.meshgrid(
        grid.coordinate(1, np.arange(65)), grid.coordinate(2, np.arange(65)), indexing="ij"
    )
    points = np.stack([np.full(y.size, grid.coordinate(0, np.array(40))), y.ravel(), z.ravel()], 1)
    true = (ball(0.5)(points) / grid.step).reshape(65, 65)
    inside = np.linalg.norm(points, axis=1).reshape(65, 65) <= 1
    near = (np.abs(plane) != PLANE_FAR) & inside
    np.testing.assert_allclose(plane[near], true[near], rtol=1e-5)
    assert near[np.abs(true) < 3].all()
    assert (np.sign(plane) == np.sign(true))[inside].all()
