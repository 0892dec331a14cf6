"""What matches and lenses tell before, and instead of, a model that looks right and is wrong."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maquette.recon.frames import panorama, pictures, sources
from maquette.recon.sfm import colmap, lens, plausibility, undistortion
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene.events import Progress

WIDTH, HEIGHT, FOCAL = 320, 240, 300.0
CAMERA = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def rotation(yaw: float, pitch: float = 0.0) -> np.ndarray:
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, cp, -sp], [0, sp, cp]]
    )


def database(path: Path, views: list[np.ndarray], standing: int = 0) -> Path:
    """Pictures of points on a plane at distance 1, and of `standing` points that never move.

    Args:
        views: What takes the plane, homogeneous [x, y, 1], to each camera's rays, 3 × 3.
    """
    random = np.random.default_rng(0)
    plane = np.column_stack([random.uniform(-0.3, 0.3, (60, 2)), np.ones(60)])
    fixed = random.uniform((0, 0), (WIDTH, HEIGHT), (standing, 2))
    colmap.create(path)
    with pycolmap.Database.open(path) as handle:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", FOCAL, WIDTH, HEIGHT)
        handle.write_camera(camera, use_camera_id=True)
        seen = []
        for number, view in enumerate(views, start=1):
            image = pycolmap.Image(name=f"{number}.jpg", camera_id=1, image_id=number)
            handle.write_image(image, use_image_id=True)
            points = plane @ (CAMERA @ view).T
            seen.append(np.vstack([points[:, :2] / points[:, 2:], fixed]).astype(np.float32))
            columns = np.column_stack([seen[-1], np.ones((len(seen[-1]), 2), np.float32)])
            handle.write_keypoints(number, np.ascontiguousarray(columns, np.float32))
        same = np.stack([np.arange(len(seen[0]), dtype=np.uint32)] * 2, axis=1)
        for one, other in combinations(range(len(views)), 2):
            handle.write_matches(one + 1, other + 1, same)
            geometry = pycolmap.TwoViewGeometry()
            geometry.H = CAMERA @ views[other] @ np.linalg.inv(CAMERA @ views[one])
            geometry.inlier_matches = same
            handle.write_two_view_geometry(one + 1, other + 1, geometry)
    return path


def test_a_camera_that_only_turns_is_known_with_its_focal_length(tmp_path: Path) -> None:
    turns = [rotation(0.05 * number, 0.02 * number) for number in range(5)]
    found = plausibility.motion(database(tmp_path / "d.db", turns))
    assert found.only_turns and not found.stands_still
    assert found.focal_px == pytest.approx(FOCAL, rel=0.06)


def test_a_camera_that_moves_before_a_plane_does_not_only_turn(tmp_path: Path) -> None:
    moves = [
        rotation(-0.04 * number) + np.outer([0.05 * number, 0, 0], [0, 0, 1]) for number in range(5)
    ]
    found = plausibility.motion(database(tmp_path / "d.db", moves))
    assert not found.only_turns and not found.stands_still


def test_a_background_that_stands_is_known(tmp_path: Path) -> None:
    turns = [rotation(0.1 * number) for number in range(4)]
    found = plausibility.motion(database(tmp_path / "d.db", turns, standing=90))
    assert found.stands_still and not found.only_turns


def test_a_database_without_pairs_says_nothing(tmp_path: Path) -> None:
    found = plausibility.motion(database(tmp_path / "d.db", [np.eye(3)]))
    assert not found.only_turns and not found.stands_still


def model(name: str, params: list[float], side: tuple[int, int] = (320, 240)) -> object:
    """Of one camera and one picture of it."""
    found = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, name, 300.0, *side)
    camera.params = params
    found.add_camera_with_trivial_rig(camera)
    image = pycolmap.Image(name="1.jpg", camera_id=1, image_id=1)
    found.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
    return found


@pytest.mark.parametrize(
    ("name", "params", "focal"),
    [
        ("SIMPLE_RADIAL", [300, 160, 120, 0], 300),
        ("OPENCV", [300, 310, 160, 120, 0, 0, 0, 0], 300),
        ("SIMPLE_PINHOLE", [300, 160, 120], 300),
        ("PINHOLE", [300, 310, 160, 120], 300),
        ("SIMPLE_RADIAL", [300, 160, 120, 0.05], 300),
    ],
)
def test_straight_pictures_have_pinhole_cameras_also_without_distortion(
    tmp_path: Path, name: str, params: list[float], focal: float
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "work").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "raw" / "1.jpg")
    model(name, params).write_binary(tmp_path / "model")  # type: ignore[attr-defined]
    undistortion.undistort(tmp_path / "model", tmp_path / "raw", tmp_path / "work")
    camera = pycolmap.Reconstruction(tmp_path / "work" / "sparse" / "0").cameras[1]
    assert camera.model.name == "PINHOLE"
    assert camera.params[0] == pytest.approx(focal)


def test_a_fisheye_without_coefficients_is_warped_all_the_same(tmp_path: Path) -> None:
    for folder in ("raw", "model", "work"):
        (tmp_path / folder).mkdir()
    across, down = np.meshgrid(np.arange(320.0) - 159.5, np.arange(320.0) - 159.5)
    angle = np.hypot(across, down) / 108
    rays = np.tan(np.minimum(angle, 1.4)) / np.maximum(angle, 1e-6) / 108
    stripes = np.sin(20 * across * rays) > 0  # straight lines of the world
    Image.fromarray((stripes * 255).astype(np.uint8)).convert("RGB").save(
        tmp_path / "raw" / "1.jpg", quality=98
    )
    model("OPENCV_FISHEYE", [108, 108, 160, 160, 0, 0, 0, 0], (320, 320)).write_binary(  # type: ignore[attr-defined]
        tmp_path / "model"
    )
    undistortion.undistort(tmp_path / "model", tmp_path / "raw", tmp_path / "work")
    with Image.open(tmp_path / "work" / "images" / "1.jpg") as image:
        seen = np.asarray(image.convert("L")) > 127
    middle = seen.shape[0] // 2
    assert (seen[middle - 60, 60:-60] == seen[middle + 60, 60:-60]).mean() > 0.9
    assert (seen[middle - 100, 60:-60] == seen[middle, 60:-60]).mean() > 0.9


def test_lenses_that_bend_too_much_are_told_from_usual_ones() -> None:
    assert lens.widening(model("SIMPLE_RADIAL", [280, 160, 120, -0.02])) < lens.BENDS
    assert lens.widening(model("SIMPLE_RADIAL", [201, 160, 120, -0.249])) > lens.IMPOSSIBLE
    assert lens.is_fisheye(model("OPENCV_FISHEYE", [108, 108, 160, 120, 0, 0, 0, 0]))


@pytest.mark.parametrize(("focal", "stays"), [(9.0, False), (300.0, True), (4200.0, True)])
def test_focal_lengths_that_no_lens_has_never_count(
    tmp_path: Path, focal: float, stays: bool
) -> None:
    path = database(tmp_path / "d.db", [np.eye(3)])
    with pycolmap.Database.open(path) as handle:
        camera = handle.read_all_cameras()[0]
        camera.params = [focal, 160, 120]
        camera.has_prior_focal_length = True
        handle.update_camera(camera)
    lens.forget_focals(path, only_impossible=True)
    assert lens.known_focals(path) == ([focal] if stays else [])
    lens.forget_focals(path)
    assert lens.known_focals(path) == []


def world(directions: np.ndarray) -> np.ndarray:
    """A colour for each direction [..., 3]: what an endless world looks like from its middle."""
    x, y, z = np.moveaxis(directions / np.linalg.norm(directions, axis=-1, keepdims=True), -1, 0)
    waves = np.stack([np.sin(9 * x + 2 * y), np.sin(8 * z - 3 * x), np.sin(7 * y + 5 * z)], axis=-1)
    return (127.5 + 127 * waves).astype(np.uint8)


def round_picture(width: int = 512) -> Image.Image:
    longitude = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    latitude = (np.arange(width // 2) + 0.5) / (width // 2) * np.pi - np.pi / 2
    along, up = np.meshgrid(longitude, latitude)
    rays = [np.sin(along) * np.cos(up), np.sin(up), np.cos(along) * np.cos(up)]
    return Image.fromarray(world(np.stack(rays, axis=-1)))


def test_a_panorama_is_known_and_a_wide_photo_is_not() -> None:
    assert panorama.is_panorama(round_picture())
    flat = np.stack(np.meshgrid(np.linspace(-1, 1, 512), np.linspace(-0.5, 0.5, 256)), axis=-1)
    ahead = np.concatenate([flat, np.ones((256, 512, 1))], axis=-1)
    assert not panorama.is_panorama(Image.fromarray(world(ahead)))
    assert not panorama.is_panorama(round_picture().crop((0, 0, 512, 240)))


def test_views_of_a_panorama_are_what_a_camera_of_ninety_degrees_sees() -> None:
    views = list(panorama.views(round_picture()))
    assert len(views) == panorama.VIEWS
    side = panorama.side(256)
    across = (np.arange(side) + 0.5 - side / 2) / (side / 2)
    x, y = np.meshgrid(across, across)
    for number, view in enumerate(views):
        ahead = np.stack([x, y, np.ones_like(x)], axis=-1)
        expected = world(ahead @ rotation(2 * np.pi * number / panorama.VIEWS).T)
        assert np.abs(np.asarray(view).astype(int) - expected.astype(int)).mean() < 4


def test_panoramas_are_cut_and_their_camera_is_known(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "raw").mkdir()
    for number in range(3):
        round_picture().save(tmp_path / "input" / f"{number}.jpg", quality=95)
    source = sources.examine(tmp_path / "input")
    made = pictures.from_photos(source, 0, tmp_path / "raw", tmp_path / "raw", Progress())
    assert len(made) == 3 * panorama.VIEWS
    assert made[8].original == "1.jpg"
    camera = pictures.as_document(source, made)["camera"]
    assert camera == {"model": "SIMPLE_PINHOLE", "params": "64,64,64"}
    assert any("panoramas" in remark for remark in source.remarks)
