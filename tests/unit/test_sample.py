"""The sample in `samples/` is whole, small, and says the truth about itself."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
VIDEO = SAMPLES / "owl.mp4"
MESH = SAMPLES / "owl" / "ground_truth.ply"
CAMERAS = SAMPLES / "owl" / "ground_truth.json"


@pytest.fixture(scope="module")
def truth():
    return json.loads(CAMERAS.read_text())


@pytest.fixture(scope="module")
def poses(truth):
    return np.array([frame["world_from_cam"] for frame in truth["frames"]])  # [F, 4, 4]


@pytest.fixture(scope="module")
def mesh():
    trimesh = pytest.importorskip("trimesh", reason="needs maquette's extra `recon`")
    return trimesh.load(MESH, process=False)


def pixels_in_camera(points, world_from_cam, truth):
    """Pixels [N, 2], origin at the image's top left corner, and depths [N]."""
    cam_from_world = np.linalg.inv(world_from_cam)
    local = points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    focal, centre = [truth["fl_x"], truth["fl_y"]], [truth["cx"], truth["cy"]]
    return local[:, :2] / local[:, 2:] * focal + centre, local[:, 2]


def test_files_stay_small():
    assert 1_000_000 < VIDEO.stat().st_size < 3_500_000
    assert MESH.stat().st_size < 1_000_000
    assert CAMERAS.stat().st_size < 200_000


def test_every_frame_of_the_video_has_a_camera(truth):
    av = pytest.importorskip("av", reason="needs maquette's extra `recon`")
    with av.open(str(VIDEO)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == truth["fps"]
        sizes = [(frame.width, frame.height) for frame in container.decode(stream)]
    assert sizes == [(truth["width"], truth["height"])] * len(truth["frames"])
    assert [frame["index"] for frame in truth["frames"]] == list(range(len(sizes)))


def test_poses_are_rigid(poses):
    rotations = poses[:, :3, :3]
    identities = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), identities, atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-7)
    assert (poses[:, 3] == [0, 0, 0, 1]).all()


def test_cameras_are_those_of_the_script(truth, poses):
    spec = importlib.util.spec_from_file_location("camera_path", SAMPLES / "camera_path.py")
    camera_path = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(camera_path)
    film = camera_path.Film()
    expected = [camera_path.world_from_cam(index, film) for index in range(film.frame_count)]
    np.testing.assert_allclose(poses, expected, atol=1e-8)
    assert (truth["width"], truth["height"], truth["fl_x"]) == (
        film.width,
        film.height,
        film.focal_px,
    )


def test_cameras_go_round_the_owl_upright(poses):
    centres, down = poses[:, :3, 3], poses[:, :3, 1]
    azimuth = np.unwrap(np.arctan2(centres[:, 1], centres[:, 0]))
    assert 400 < np.degrees(azimuth[-1] - azimuth[0]) < 460
    assert (centres[:, 2] > 0.5).all()
    assert (down[:, 2] < -0.5).all()


def test_owl_is_in_the_picture(truth, poses, mesh):
    whole = 0
    for pose in poses:
        pixels, depths = pixels_in_camera(mesh.vertices, pose, truth)
        inside = (pixels > 0) & (pixels < [truth["width"], truth["height"]])
        whole += bool((depths > 0).all() and inside.all())
        assert 0.4 < np.ptp(pixels[:, 1]) / truth["height"] < 0.75
    assert whole > 0.95 * len(poses)


def test_mesh_is_one_closed_surface_of_unit_height(mesh):
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert mesh.body_count == 1
    assert mesh.bounds[1][2] == pytest.approx(1.0, abs=0.01)
    assert mesh.bounds[0][2] == pytest.approx(0.0, abs=0.01)


def test_box_holds_the_owl_and_leaves_out_the_ground(truth, mesh):
    low, high = np.array(truth["evaluation_box"]).T
    assert 0.01 <= low[2] <= 0.02
    above = mesh.vertices[mesh.vertices[:, 2] > low[2]]
    assert (((above >= low) & (above <= high)).all(axis=1)).mean() > 0.999
    assert len(above) > 0.9 * len(mesh.vertices)
