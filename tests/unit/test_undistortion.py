"""Undistortion: same size, exact pinhole cameras, no blank borders, for every lens model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from maquette.recon.sfm import cameras, undistortion
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.undistortion import Straightening

MODELS = sorted(set(pycolmap.CameraModelId.__members__) - cameras._UNUSABLE)
SIZES = [(96, 64), (97, 61), (63, 101)]
EXTRA = {"FOV": 0.4, "EUCM": 0.6}


def lens(model: str, size: tuple[int, int], sign: float = 1.0) -> Any:
    """A camera with a principal point off the middle and some distortion."""
    camera = pycolmap.Camera.create_from_model_name(1, model, 90.0, *size)
    camera.camera_id = 1
    params = np.array(camera.params)
    params[list(camera.principal_point_idxs())] += (1.3, -0.8)
    extra = camera.extra_params_idxs()
    if extra:
        params[extra[0]] = EXTRA.get(model, sign * 0.04)
    camera.params = params.tolist()
    return camera


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_target_is_a_pinhole_of_the_same_size_inside_the_source(
    model: str, sign: float
) -> None:
    for size in SIZES:
        camera = lens(model, size, sign)
        target = Straightening.of(camera).target
        assert target.model.name == "PINHOLE"
        assert (target.width, target.height) == size
        assert (target.principal_point_x, target.principal_point_y) == (
            camera.principal_point_x,
            camera.principal_point_y,
        )
        shape = camera.focal_length_x / camera.focal_length_y
        assert target.focal_length_x / target.focal_length_y == pytest.approx(shape)
        corners = np.array([corners for _, corners in Straightening.of(camera).cells()])
        across, down = corners[:, ::2], corners[:, 1::2]
        assert -0.1 < across.min() < 3 or -0.1 < down.min() < 3  # nothing blank, little left out
        assert across.min() > -0.1 and across.max() < size[0] + 0.1
        assert down.min() > -0.1 and down.max() < size[1] + 0.1


@pytest.mark.parametrize("model", MODELS)
def test_points_and_pixels_go_to_the_same_place(model: str) -> None:
    straightening = Straightening.of(lens(model, (97, 61)))
    cells = straightening.cells()
    ends = np.array([box[:2] for box, _ in cells], dtype=float)  # [N, 2]
    sources = np.array([corners[:2] for _, corners in cells])
    assert straightening.points(sources) == pytest.approx(ends, abs=1e-6)


def model_of(camera: Any, names: list[str]) -> Any:
    """A model with a point in each picture."""
    made = pycolmap.Reconstruction()
    made.add_camera_with_trivial_rig(camera)
    for number, name in enumerate(names, start=1):
        image = pycolmap.Image(name=name, camera_id=1, image_id=number)
        image.points2D = [pycolmap.Point2D(np.array([20.0, 30.0]))]
        made.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
    return made


@pytest.mark.parametrize("size", SIZES)
def test_pictures_keep_size_and_exif_and_are_straight(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    camera = lens("SIMPLE_RADIAL", size, -1.0)
    ramp = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1) + 0.5
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[..., :2] = (2 * ramp).clip(0, 255)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    exif[ExifTags.Base.Model] = "Box 1"
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    (tmp_path / "model").mkdir()
    model_of(camera, ["a.jpg"]).write_binary(tmp_path / "model")
    (tmp_path / "made").mkdir()
    undistortion.undistort(tmp_path / "model", tmp_path, tmp_path / "made")
    straight = pycolmap.Reconstruction(tmp_path / "made" / "sparse" / "0")
    target = straight.cameras[1]
    with Image.open(tmp_path / "made" / "images" / "a.jpg") as image:
        assert image.size == size == (target.width, target.height)
        assert image.getexif()[ExifTags.Base.Model] == "Box 1"
        seen = np.asarray(image, dtype=np.float64)[..., :2] / 2
    rays = target.cam_from_img(ramp.reshape(-1, 2))
    expected = camera.img_from_cam(np.column_stack([rays, np.ones(len(rays))]))
    inside = (expected > 1).all(axis=1) & (expected < np.array(size) - 1).all(axis=1)
    inside &= (expected < 127).all(axis=1)
    assert np.abs(seen.reshape(-1, 2) - expected)[inside].max() < 1.6  # JPEG's steps
    assert (
        np.abs((seen.reshape(-1, 2) - expected)[inside].mean(axis=0)).max() < 0.3
    )  # Pillow floors
    (point,) = straight.images[1].points2D
    ray = camera.cam_from_img(np.array([[20.0, 30.0]]))
    assert point.xy == pytest.approx(target.img_from_cam(np.array([[*ray[0], 1.0]]))[0])


def test_what_has_no_distortion_is_copied(tmp_path: Path) -> None:
    Image.new("RGB", (97, 61), "red").save(tmp_path / "a.jpg", quality=50)
    for folder in ("model", "made"):
        (tmp_path / folder).mkdir()
    camera = lens("SIMPLE_PINHOLE", (97, 61))
    model_of(camera, ["a.jpg"]).write_binary(tmp_path / "model")
    undistortion.undistort(tmp_path / "model", tmp_path, tmp_path / "made")
    made = tmp_path / "made" / "images" / "a.jpg"
    assert made.read_bytes() == (tmp_path / "a.jpg").read_bytes()
    target = pycolmap.Reconstruction(tmp_path / "made" / "sparse" / "0").cameras[1]
    assert list(target.params) == [90.0, 90.0, *camera.params[1:]]


def test_masks_are_warped_as_their_pictures(tmp_path: Path) -> None:
    Image.new("L", (10, 6), 255).save(tmp_path / "mask.png")
    for folder in ("model", "made"):
        (tmp_path / folder).mkdir()
    model_of(lens("OPENCV", (97, 61)), ["a.jpg", "b.jpg"]).write_binary(tmp_path / "model")
    given = {"a.jpg": tmp_path / "mask.png"}
    written = undistortion.undistort_masks(tmp_path / "model", given, tmp_path / "made")
    assert written == [tmp_path / "made" / "a.png"]
    with Image.open(written[0]) as mask:
        assert mask.size == (97, 61) and set(np.unique(mask)) <= {0, 255}
        assert np.asarray(mask)[2:-2, 2:-2].all()
