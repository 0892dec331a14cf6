"""The contact sheet: what it shows, how large, from where."""

import numpy as np
import pytest
import trimesh

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.pictures.contact_sheet import AZIMUTHS_DEG, draw_sheet, orbit_views
from maquette.recon.pictures.framing import set_stage
from maquette.recon.pictures.occlusion import vertex_openness
from maquette.scene.region import Region

REGION = Region.around([10.0, 0.0, 0.0], 4.0)
UP = np.array([0.0, 1.0, 0.0])
FRONT = np.array([10.0, 2.0, 8.0])


def merged(*parts):
    joined = trimesh.util.concatenate(parts)
    normals = np.asarray(joined.vertex_normals)
    return TriangleMesh(np.asarray(joined.vertices), np.asarray(joined.faces), normals)


def ball(radius=0.8, at=(10.0, 0.0, 0.0)):
    made = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    made.apply_translation(at)
    return made


def ground(y=-0.8, half=3.5, cells=60):
    line = np.linspace(-half, half, cells)
    x, z = np.meshgrid(line + 10.0, line, indexing="ij")
    vertices = np.stack([x, np.full_like(x, y), z], axis=-1).reshape(-1, 3)
    number = np.arange(cells * cells).reshape(cells, cells)
    a, b, c, d = (
        n.ravel() for n in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:])
    )
    faces = np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])
    return trimesh.Trimesh(vertices, faces, process=False)


def test_the_object_is_framed_and_its_ground_is_not():
    alone = set_stage(merged(ball()), REGION, UP, FRONT)
    standing = set_stage(merged(ball(), ground()), REGION, UP, FRONT)
    assert alone.ground is None
    assert standing.ground is not None
    assert standing.ground < -0.8
    for staged in (alone, standing):
        shown = staged.mesh.vertices[staged.subject]
        assert np.linalg.norm(shown, axis=1).max() == pytest.approx(1.0, abs=0.08)


def test_stage_axes_are_up_and_the_first_cameras_side():
    spike = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    spike.apply_translation([10.0, 0.5, 1.5])
    staged = set_stage(merged(ball(), spike), REGION, UP, FRONT)
    tip = staged.mesh.vertices[-1]
    assert tip[0] > 0.5  # FRONT lies on +z of the world, which is x of the stage
    assert abs(tip[1]) < 0.1


def test_views_hold_the_whole_object_but_not_much_more():
    staged = set_stage(merged(ball()), REGION, UP, FRONT)
    views = orbit_views(staged, 100)
    assert len(views) == len(AZIMUTHS_DEG)
    points = staged.mesh.vertices
    for view in views:
        assert np.linalg.det(view.rotation) == pytest.approx(1)
        seen = (points - view.eye) @ view.rotation
        x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2] - view.shift
        widest = max(np.abs(x).max(), np.abs(y).max()) / view.tangent
        assert 0.85 < widest < 1.0


def test_openness_is_full_on_a_ball_and_small_in_a_pit():
    # a closed box seen from inside: nothing but walls within reach
    inner = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    inner.invert()
    for made, low, high in ((ball(1.0, (0, 0, 0)), 0.99, 1.0), (inner, 0.0, 0.01)):
        mesh = merged(made)
        openness = vertex_openness(mesh, np.asarray(mesh.normals), RayScene(mesh))
        assert openness.min() >= low
        assert openness.max() <= high


def test_rays_meet_what_geometry_says():
    mesh = merged(ball(1.0, (0, 0, 0)))
    scene = RayScene(mesh)
    origins = np.array([[0, 0, 5.0], [0, 3, 5], [0.5, 0, 5]])
    directions = np.tile([0, 0, -1.0], (3, 1))
    hits = scene.first_hits(origins, directions)
    assert hits.ray.tolist() == [0, 2]
    np.testing.assert_allclose(hits.depth, [4.0, 5 - np.sqrt(0.75)], atol=5e-3)
    corners = mesh.vertices[mesh.faces[hits.face]]
    found = np.einsum("hk,hkc->hc", hits.weights, corners)
    np.testing.assert_allclose(found[:, :2], origins[[0, 2], :2], atol=1e-4)
    assert scene.is_blocked(origins, directions, 10.0).tolist() == [True, False, True]
    assert not scene.is_blocked(origins, directions, 1.0).any()


def test_the_sheet_has_rows_for_colour_and_for_shape():
    plain = merged(ball(), ground())
    red = np.tile([1.0, 0.0, 0.0], (len(plain.vertices), 1))
    colored = TriangleMesh(plain.vertices, plain.faces, plain.normals, red)
    told = []
    sheets = [
        np.asarray(draw_sheet(mesh, REGION, UP, FRONT, lambda *at: told.append(at), 48))
        for mesh in (plain, colored)
    ]
    assert sheets[0].shape == (2 * 52 + 4, 4 * 52 + 4, 3)
    assert sheets[1].shape == (4 * 52 + 4, 4 * 52 + 4, 3)
    assert told[-1] == (8, 8)
    middle = sheets[1][4 + 24, 4 + 24].astype(int)
    assert middle[0] > 150  # the coloured ball
    assert middle[1:].max() < 30
    clay = sheets[1][4 + 2 * 52 + 24, 4 + 24].astype(int)
    assert np.ptp(clay) < 30
    corner = sheets[1][6, 4 + 46].astype(int)
    assert corner.min() > 215  # light grey
    assert np.ptp(corner) == 0


def test_a_sheet_of_a_mesh_without_normals_or_center_is_drawn():
    far = merged(ball(0.5, (13.3, 0.0, 0.0)))
    bare = TriangleMesh(far.vertices, far.faces)
    sheet = np.asarray(draw_sheet(bare, REGION, UP, REGION.center + UP, tile_px=32))
    assert sheet[4 + 16, 4 + 16].max() < 235
