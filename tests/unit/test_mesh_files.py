"""What is written to disk: PLY and GLB, colours, normals and the way up."""

from unittest.mock import Mock

import numpy as np
import pytest
import trimesh

from maquette.errors import BadInput, Interrupted, NotFound
from maquette.recon.mesh import gltf_file
from maquette.recon.mesh.attributes import field_normals, to_world, with_colors, with_normals
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.marching import extract_surface
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import vertex_normals
from maquette.recon.mesh.upright import rotation_between, up_direction
from maquette.scene.color_space import linear_from_srgb, srgb_from_linear
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics

UP = np.array([0.0, -0.6, 0.8])


class Ball:
    """A ball of radius 0.5 whose colour is its normal."""

    region = Region.around([3.0, -2.0, 1.0], 2.0)

    def signed_distance(self, points):
        return np.linalg.norm(points, axis=1) - 0.5

    def colors(self, points, normals):
        return 0.5 + 0.5 * normals


@pytest.fixture(scope="module")
def mesh():
    ball = Ball()
    unit = extract_surface(ball.signed_distance, [[-1, 1]] * 3, 32, 16)
    unit = with_colors(with_normals(unit, ball.signed_distance, 2 / 32), ball)
    return to_world(unit, ball.region)


def test_vertices_come_out_in_world_units(mesh):
    away = np.linalg.norm(mesh.vertices - [3.0, -2.0, 1.0], axis=1)
    np.testing.assert_allclose(away, 1.0, atol=4e-3)


def test_normals_point_out_of_the_surface(mesh):
    outwards = mesh.vertices - [3.0, -2.0, 1.0]
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    assert (mesh.normals * outwards).sum(axis=1).min() > 0.999
    assert (vertex_normals(mesh) * outwards).sum(axis=1).min() > 0.98


def test_field_normals_are_the_gradient_of_a_plane():
    direction = np.array([2.0, -1.0, 0.5]) / np.linalg.norm([2.0, -1.0, 0.5])
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    normals = field_normals(lambda at: at @ direction + 0.1, points, 0.01)
    np.testing.assert_allclose(normals, np.broadcast_to(direction, normals.shape), atol=1e-9)


def test_ply_reads_back_in_another_program(mesh, tmp_path):
    write_ply(tmp_path / "m.ply", mesh, ("a remark",))
    loaded = trimesh.load(tmp_path / "m.ply", process=False)
    np.testing.assert_allclose(loaded.vertices, mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(loaded.faces, mesh.faces)
    np.testing.assert_allclose(loaded.vertex_normals, mesh.normals, atol=1e-6)
    colors = loaded.visual.vertex_colors[:, :3]
    assert colors.dtype == np.uint8
    np.testing.assert_allclose(colors / 255, mesh.colors, atol=0.5 / 255 + 1e-9)
    assert [path.name for path in tmp_path.iterdir()] == ["m.ply"]


def test_our_reader_gives_back_what_was_written(mesh, tmp_path):
    write_ply(tmp_path / "m.ply", mesh)
    ours = read_mesh(tmp_path / "m.ply")
    np.testing.assert_allclose(ours.vertices, mesh.vertices, atol=1e-6)
    np.testing.assert_allclose(ours.normals, mesh.normals, atol=1e-6)
    np.testing.assert_allclose(ours.colors, mesh.colors, atol=0.5 / 255 + 1e-7)


SQUARE = """ply
format ascii 1.0
element vertex 4
property double x
property double y
property double z
element face 1
property list uchar uint vertex_index
end_header
0 0 0
1 0 0
1 1 0
0 1 0
4 0 1 2 3
"""


@pytest.mark.parametrize("name", ["vertex_index", "vertex_indices"])
def test_files_of_other_programs_are_read(name, tmp_path):
    (tmp_path / "m.ply").write_text(SQUARE.replace("vertex_index", name))
    square = read_mesh(tmp_path / "m.ply")
    assert len(square.faces) == 2 and square.colors is None
    assert square.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_unreadable_meshes_are_said(tmp_path):
    with pytest.raises(NotFound):
        read_mesh(tmp_path / "none.ply")
    (tmp_path / "bad.ply").write_bytes(b"ply\nnonsense")
    with pytest.raises(BadInput):
        read_mesh(tmp_path / "bad.ply")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("4 0 1 2 3", "4 0 1 2 7", "names vertex 7 of 4"),
        ("4 0 1 2 3", "4 0 1 2 -3", "names vertex -3 of 4"),
        ("1 1 0\n", "1 nan 0\n", "1 of 4 vertices are at no place"),
        ("1 1 0\n", "inf 1 0\n", "1 of 4 vertices are at no place"),
        ("\nelement face 1\nproperty list uchar int vertex_index", "", "holds no triangles"),
        ("4 0 1 2 3", "", "is not a readable mesh"),
    ],
)
def test_a_mesh_on_which_nothing_can_work_is_refused_with_its_reason(old, new, said, tmp_path):
    path = tmp_path / "m.ply"
    path.write_text(SQUARE.replace("list uchar uint", "list uchar int").replace(old, new))
    with pytest.raises(BadInput, match=said) as caught:
        read_mesh(path)
    assert "export it again" in caught.value.hint


def test_a_damaged_face_of_a_mapped_file_is_found(mesh, tmp_path):
    write_ply(tmp_path / "m.ply", mesh)
    content = (tmp_path / "m.ply").read_bytes()
    (tmp_path / "m.ply").write_bytes(content[:-4] + b"\xff\xff\xff\x7f")
    with pytest.raises(BadInput, match="names vertex 2147483647"):
        read_mesh(tmp_path / "m.ply")


def test_a_request_to_stop_is_not_taken_for_a_damaged_file(tmp_path, monkeypatch):
    (tmp_path / "m.obj").write_text("v 0 0 0")
    stop = Interrupted("stopped on request")
    monkeypatch.setattr(trimesh, "load_mesh", Mock(side_effect=stop))
    with pytest.raises(Interrupted):
        read_mesh(tmp_path / "m.obj")


def test_glb_stands_upright_and_keeps_world_coordinates(mesh, tmp_path):
    write_glb(tmp_path / "m.glb", mesh, UP, "owl")
    loaded = trimesh.load(tmp_path / "m.glb", process=False)
    (geometry,) = loaded.geometry.values()
    np.testing.assert_allclose(geometry.vertices, mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(geometry.faces, mesh.faces)
    np.testing.assert_allclose(geometry.vertex_normals, mesh.normals, atol=1e-6)
    (node,) = loaded.graph.nodes_geometry
    matrix, _ = loaded.graph[node]
    np.testing.assert_allclose(matrix[:3, :3] @ UP, [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(matrix[:3, 3], 0)


def test_glb_colours_are_linear_light(mesh, tmp_path):
    write_glb(tmp_path / "m.glb", mesh, UP, "owl")
    loaded = trimesh.load(tmp_path / "m.glb", process=False)
    (geometry,) = loaded.geometry.values()
    colors = np.asarray(geometry.visual.vertex_attributes["color"], dtype=np.float64)[:, :3]
    colors /= 65535 if colors.max() > 255 else 255 if colors.max() > 1 else 1
    np.testing.assert_allclose(colors, linear_from_srgb(mesh.colors), atol=1 / 255)


def test_srgb_and_linear_are_inverse_and_meet_known_values():
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-9)
    assert linear_from_srgb(0.5) == pytest.approx(0.21404, abs=1e-5)


@pytest.mark.parametrize("end", [UP, -UP, [0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])
def test_rotation_between_directions(end):
    end = np.asarray(end)
    rotation = rotation_between(UP, end)
    np.testing.assert_allclose(rotation @ UP, end, atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def orbit(turns, count=24, roll_deg=0.0):
    """Cameras that look down at the origin from part of a circle; z is up."""
    random = np.random.default_rng(0)
    frames = []
    for turn in np.linspace(0, 2 * np.pi * turns, count, endpoint=False):
        forward = -np.array([np.cos(turn) * 0.8, np.sin(turn) * 0.8, 0.6])
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(forward, right), forward, -2 * forward], axis=1)
        roll = np.radians(roll_deg * random.normal())
        turned = [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
        pose[:3, :2] = pose[:3, :2] @ np.array(turned)
        frames.append(Frame("images/a.jpg", pose, Intrinsics(10, 10, 10, 10, 5, 5)))
    return frames


@pytest.mark.parametrize(("turns", "within_deg"), [(1.0, 0.1), (0.5, 0.1), (0.25, 0.1)])
def test_up_is_found_from_level_cameras(turns, within_deg):
    up = up_direction(orbit(turns))
    assert np.degrees(np.arccos(min(1.0, up[2]))) < within_deg


def test_up_is_found_from_a_shaky_hand():
    up = up_direction(orbit(0.6, roll_deg=4.0))
    assert np.degrees(np.arccos(min(1.0, up[2]))) < 4.0


def test_up_of_cameras_side_by_side_is_the_pictures_top():
    frame = orbit(1.0)[0]
    np.testing.assert_allclose(up_direction([frame] * 5), -frame.world_from_cam[:3, 1])


def test_what_a_glb_can_not_hold_is_refused_and_an_earlier_one_stays(mesh, tmp_path, monkeypatch):
    write_glb(tmp_path / "m.glb", mesh, UP, "owl")
    before = (tmp_path / "m.glb").read_bytes()
    monkeypatch.setattr(gltf_file, "_LARGEST", 100)
    with pytest.raises(gltf_file.TooLargeForGlb, match="less than 4"):
        write_glb(tmp_path / "m.glb", mesh, UP, "owl")
    assert (tmp_path / "m.glb").read_bytes() == before
