"""Poses of other programs: read alike from every form, and belonging to the right photos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from maquette.errors import BadInput
from maquette.recon.sfm import colmap as database
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.given import model, reading
from maquette.recon.sfm.given.cameras import OPENCV_FROM_OPENGL, Given, lens_of
from maquette.recon.sfm.mapping import MappingOptions
from maquette.scene import pose_files

NAMES = ["a.jpg", "b.jpg", "c.jpg"]
WIDTH, HEIGHT, FOCAL = 480, 360, 440.0


def poses() -> list[np.ndarray]:
    """Cam-from-world, [4, 4], of three pictures without any symmetry."""
    found = []
    for number in range(3):
        quaternion = np.array([0.9, 0.1 + number / 10, -0.3, 0.2])
        rotation = pycolmap.Rotation3d(quaternion[[1, 2, 3, 0]] / np.linalg.norm(quaternion))
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation.matrix(), (0.3, -1.0 * number, 2.5)
        found.append(pose)
    return found


def transforms(folder: Path) -> None:
    frames = [
        {"file_path": f"./images/{name}",
         "transform_matrix": (np.linalg.inv(pose) @ OPENCV_FROM_OPENGL).tolist()}
        for name, pose in zip(NAMES, poses(), strict=True)
    ]  # fmt: skip
    document = {"w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))


def polycam(folder: Path) -> None:
    for name, pose in zip(NAMES, poses(), strict=True):
        rows = np.linalg.inv(pose) @ OPENCV_FROM_OPENGL
        told = {f"t_{row}{column}": rows[row, column] for row in range(3) for column in range(4)}
        told |= {"fx": FOCAL, "fy": FOCAL, "cx": 240, "cy": 180, "width": WIDTH, "height": HEIGHT}
        (folder / f"{Path(name).stem}.json").write_text(json.dumps(told))


def neus(folder: Path) -> None:
    camera = np.array([[FOCAL, 0, 240, 0], [0, FOCAL, 180, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    arrays = {f"world_mat_{number}": 3.0 * camera @ pose for number, pose in enumerate(poses())}
    np.savez(folder / "cameras_sphere.npz", **arrays)


def tanks(folder: Path) -> None:
    lines = []
    for number, pose in enumerate(poses()):
        lines.append(f"{number} {number} 0")
        lines += [" ".join(f"{value:.12g}" for value in row) for row in np.linalg.inv(pose)]
    (folder / "Truck.log").write_text("\n".join(lines) + "\n")


def colmap(folder: Path, text: bool) -> None:
    found = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "PINHOLE", FOCAL, WIDTH, HEIGHT)
    found.add_camera_with_trivial_rig(camera)
    for number, (name, pose) in enumerate(zip(NAMES, poses(), strict=True), start=1):
        image = pycolmap.Image(name=f"images/{name}", camera_id=1, image_id=number)
        image.points2D = [pycolmap.Point2D(np.array([1.0, 2.0]))] * number
        found.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose[:3]))
    (found.write_text if text else found.write_binary)(folder)
    for name in ("frames", "rigs"):  # older versions write neither
        for path in folder.glob(f"{name}.*"):
            path.unlink()


Write = Callable[[Path], None]


@pytest.mark.parametrize(
    "write",
    [transforms, polycam, neus, tanks, lambda folder: colmap(folder, True),
     lambda folder: colmap(folder, False)],
)  # fmt: skip
def test_every_form_gives_the_same_cameras(tmp_path: Path, write: Write) -> None:
    write(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert pose_files.among(files) == files
    given = reading.read(files, NAMES, lambda number: (WIDTH, HEIGHT))
    assert given is not None
    pictures = {f"00000{number}.jpg": name for number, name in enumerate(NAMES, start=1)}
    found = model.by_picture(given, pictures)
    for (name, camera), pose in zip(sorted(found.items()), poses(), strict=True):
        assert name in pictures
        assert np.abs(camera.cam_from_world - pose).max() < 1e-6
        assert (camera.lens.width, camera.lens.height) == (WIDTH, HEIGHT)
        if camera.lens.is_known:
            assert np.allclose(camera.lens.params[:4], (FOCAL, FOCAL, 240, 180), atol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, "PINHOLE"),
        ({"k1": -0.05, "k2": 0.01}, "OPENCV"),
        ({"p1": 0.001}, "OPENCV"),
        ({"k3": 0.1}, "FULL_OPENCV"),
        ({"is_fisheye": True}, "OPENCV_FISHEYE"),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 0.02}, "OPENCV_FISHEYE"),
    ],
)
def test_no_distortion_is_dropped(numbers: dict[str, object], expected: str) -> None:
    lens = lens_of({"w": 480, "h": 360, "fl_x": 440.0, **numbers}, "transforms.json")
    assert lens.model == expected
    camera = pycolmap.Camera.create_from_model_name(1, lens.model, 1.0, 480, 360)
    assert len(lens.params) == len(camera.params)
    told = [value for key, value in numbers.items() if key[0] in "kp"]
    assert all(value in lens.params for value in told)


def test_a_field_of_view_is_a_focal_length_too() -> None:
    lens = lens_of({"w": 480, "h": 360, "camera_angle_x": 2 * np.arctan(240 / 440)}, "t.json")
    assert lens.params[0] == pytest.approx(440) and lens.params[1] == pytest.approx(440)


def test_lenses_follow_the_size_of_the_pictures_and_refuse_another_shape() -> None:
    lens = lens_of({"w": 480, "h": 360, "fl_x": 440.0, "k1": -0.1}, "t.json")
    half = lens.scaled(240, 180)
    assert half.params == pytest.approx((220, 220, 120, 90, -0.1, 0, 0, 0))
    with pytest.raises(BadInput, match="480×360"):
        lens.scaled(360, 480)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "no JSON"),
        ("[]", "rotation"),
        ('{"frames": []}', "no frames"),
        ('{"frames": [{"file_path": "a"}], "fl_x": 1}', "rotation"),
        ('{"frames": [{"file_path": "a", "transform_matrix": [[0,0],[0,0]]}], "fl_x": 1}', "rot"),
        ('{"w": 1, "h": 1, "frames": [{"file_path": "a", "transform_matrix": '
         '[[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "camera_angle_x"),
        ('{"camera_model": "EQUIRECTANGULAR", "frames": [{"file_path": "a", "transform_matrix": '
         '[[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "panoramas"),
    ],
)  # fmt: skip
def test_files_that_tell_no_poses_are_named(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(BadInput, match=match) as caught:
        reading.read([tmp_path / "transforms.json"], NAMES, lambda number: (480, 360))
    assert "POSES=find" in caught.value.hint or "w, h" in caught.value.hint


def test_a_damaged_file_of_arrays_is_named(tmp_path: Path) -> None:
    neus(tmp_path)
    file = tmp_path / "cameras_sphere.npz"
    content = file.read_bytes()
    for damaged in (content[:-50], content[:300] + b"?" * 9 + content[309:], b"", b"?"):
        file.write_bytes(damaged)
        with pytest.raises(
            BadInput, match=r"`cameras_sphere.npz` does not tell a camera"
        ) as caught:
            reading.read([file], NAMES, lambda number: (WIDTH, HEIGHT))
        assert "POSES=find" in caught.value.hint


def test_poses_of_other_pictures_are_refused(tmp_path: Path) -> None:
    transforms(tmp_path)
    given = reading.read([tmp_path / "transforms.json"], NAMES, lambda number: (480, 360))
    assert given is not None
    with pytest.raises(BadInput, match="other pictures: 1 of 3"):
        model.by_picture(given, {"1.jpg": "a.jpg", "2.jpg": "x.jpg", "3.jpg": "y.jpg"})
    with pytest.raises(BadInput, match="other pictures"):
        model.by_picture(Given("x", "y", []), {"1.jpg": "a.jpg"})


def matched(path: Path) -> np.ndarray:
    """A database of the 60 points [60, 3] that it returns, seen by the three cameras."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 3))
    database.create(path)
    with pycolmap.Database.open(path) as handle:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", 576.0, WIDTH, HEIGHT)
        handle.write_camera(camera, use_camera_id=True)
        for number, pose in enumerate(poses(), start=1):
            image = pycolmap.Image(name=f"{number}.jpg", camera_id=1, image_id=number)
            handle.write_image(image, use_image_id=True)
            seen = points @ pose[:3, :3].T + pose[:3, 3]
            pixels = FOCAL * seen[:, :2] / seen[:, 2:] + (240, 180)
            handle.write_keypoints(number, np.column_stack([pixels, np.ones((60, 2))]).astype("f4"))
            handle.write_descriptors(number, no_descriptors())
        same = np.stack([np.arange(60, dtype=np.uint32)] * 2, axis=1)
        for one, other in ((1, 2), (1, 3), (2, 3)):
            geometry = pycolmap.TwoViewGeometry()
            geometry.config, geometry.inlier_matches = (
                pycolmap.TwoViewGeometryConfiguration(3),
                same,
            )
            handle.write_matches(one, other, same)
            handle.write_two_view_geometry(one, other, geometry)
    return points


def no_descriptors() -> object:
    kind = pycolmap.FeatureExtractorType.SIFT
    return pycolmap.FeatureDescriptors(type=kind, data=np.zeros((60, 128), np.uint8))


def triangulated(folder: Path) -> object:
    transforms(folder)
    given = reading.read([folder / "transforms.json"], NAMES, lambda number: (WIDTH, HEIGHT))
    assert given is not None
    pictures = {f"{number}.jpg": name for number, name in enumerate(NAMES, start=1)}
    cameras = model.by_picture(given, pictures)
    ids = database.image_ids(folder / "d.db")
    posed = model.build(cameras, ids, dict.fromkeys(pictures, (WIDTH, HEIGHT)))
    model.database_of(posed, folder / "d.db", folder / "given.db")
    return model.triangulate(
        posed, folder / "given.db", folder, folder / "work", MappingOptions(), False
    )


def test_points_are_found_where_they_are_and_poses_stay(tmp_path: Path) -> None:
    points = matched(tmp_path / "d.db")
    found = triangulated(tmp_path)
    places = np.array([point.xyz for point in found.points3D.values()])  # type: ignore[attr-defined]
    assert len(places) == 60
    apart = np.linalg.norm(places[:, None] - points[None], axis=-1).min(axis=1)
    assert apart.max() < 1e-3
    image = found.images[2]  # type: ignore[attr-defined]
    assert np.abs(image.cam_from_world().matrix() - poses()[1][:3]).max() < 1e-9


def test_poses_that_do_not_fit_the_pictures_are_refused(tmp_path: Path) -> None:
    for pose in (scene := json.loads(transforms_text(tmp_path)))["frames"]:
        pose["file_path"] = NAMES[(NAMES.index(Path(pose["file_path"]).name) + 1) % 3]
    matched(tmp_path / "d.db")
    given = tmp_path / "given"
    given.mkdir()
    (given / "transforms.json").write_text(json.dumps(scene))
    found = reading.read([given / "transforms.json"], NAMES, lambda number: (WIDTH, HEIGHT))
    assert found is not None
    pictures = {f"{number}.jpg": name for number, name in enumerate(NAMES, start=1)}
    posed = model.build(
        model.by_picture(found, pictures), database.image_ids(tmp_path / "d.db"),
        dict.fromkeys(pictures, (WIDTH, HEIGHT)),
    )  # fmt: skip
    model.database_of(posed, tmp_path / "d.db", tmp_path / "given.db")
    with pytest.raises(BadInput, match="do not fit the pictures"):
        model.triangulate(
            posed, tmp_path / "given.db", tmp_path, tmp_path / "work", MappingOptions(), False
        )


def transforms_text(folder: Path) -> str:
    transforms(folder)
    return (folder / "transforms.json").read_text()
