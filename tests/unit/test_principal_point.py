"""The principal point is refined where the pictures tell that it is off their middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maquette.recon.sfm import principal_point
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.mapping import MappingOptions


def synthesised(pictures: int, off_px: float) -> Any:
    """A noisy model whose camera's principal point is told `off_px` too far right and down."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs = options.num_cameras_per_rig = 1
    options.num_frames_per_rig, options.num_points3D = pictures, 80
    pycolmap.set_random_seed(1)
    model = pycolmap.synthesize_dataset(options)
    pycolmap.set_random_seed(1)
    noise = pycolmap.SyntheticNoiseOptions()
    noise.point2D_stddev = 0.5
    pycolmap.synthesize_noise(noise, model)
    for camera in model.cameras.values():
        camera.principal_point_x += off_px
        camera.principal_point_y += off_px
    return model


def turntable(pictures: int) -> Any:
    """A noisy model of cameras on one circle, which all look at the middle from above."""
    rng = np.random.default_rng(0)
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", 560.0, 640, 480)
    camera.camera_id = 1
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera)
    points = rng.normal(scale=0.3, size=(60, 3))
    tracks: list[Any] = [pycolmap.Track() for _ in points]
    for number in range(1, pictures + 1):
        turn = 2 * np.pi * number / pictures
        eye = np.array([2.5 * np.cos(turn), 2.5 * np.sin(turn), 1.2])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])  # cam_from_world
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ eye)
        places = camera.img_from_cam((points - eye) @ rotation.T)
        image = pycolmap.Image(name=f"{number}.jpg", camera_id=1, image_id=number)
        noisy = places + rng.normal(scale=0.3, size=places.shape)
        image.points2D = [pycolmap.Point2D(place) for place in noisy]
        model.add_image_with_trivial_frame(image, pose)
        for index, track in enumerate(tracks):
            track.add_element(number, index)
    for point, track in zip(points, tracks, strict=True):
        model.add_point3D(point, track)
    return model


@pytest.mark.parametrize(("off_px", "is_clear"), [(20.0, True), (0.0, False)])
def test_a_wrong_principal_point_is_told_from_a_right_one(off_px: float, is_clear: bool) -> None:
    model = synthesised(10, off_px)
    before = list(model.cameras[1].params)
    found = principal_point.evidence(model, MappingOptions())
    assert found is not None and found.is_clear is is_clear
    assert list(model.cameras[1].params) == before


def test_its_standard_error_has_the_size_of_the_error_of_the_place_found() -> None:
    found = principal_point.evidence(synthesised(10, 20.0), MappingOptions())
    assert found is not None
    side = 1024
    assert found.significance * found.standard_error * side == pytest.approx(20 * 2**0.5, rel=0.2)


def test_a_turntable_leaves_it_open() -> None:
    """All cameras look down at one point from one circle, as Sturm's critical motions have it."""
    found = principal_point.evidence(turntable(12), MappingOptions())
    assert found is not None and not found.is_clear


def test_few_pictures_and_known_intrinsics_tell_nothing() -> None:
    assert principal_point.evidence(synthesised(7, 40.0), MappingOptions()) is None
    known = MappingOptions(intrinsics_known=True)
    assert principal_point.evidence(synthesised(10, 40.0), known) is None


def test_the_squared_error_agrees_with_colmaps() -> None:
    model = synthesised(8, 3.0)
    model.update_point_3d_errors()
    found, seen = 0.0, 0
    for image in model.images.values():
        for point in image.points2D:
            if point.has_point3D():
                place = image.project_point(model.points3D[point.point3D_id].xyz)
                found += float(((place - point.xy) ** 2).sum())
                seen += 1
    assert seen > 300
    assert principal_point.squared_error(model) == pytest.approx(found)
