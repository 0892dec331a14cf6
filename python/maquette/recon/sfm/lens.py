"""What is known of a lens, and what is found, held against what lenses are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap

FISHEYE = "OPENCV_FISHEYE"
# Straight pictures over those filmed, in pixels of a side. Real lenses of our sets: 0.98 to 1.02;
# an equidistant fisheye of 170° taken for a usual lens: 2, where COLMAP cuts it off.
BENDS = 1.35
IMPOSSIBLE = 1.5
_USUAL_FOCAL = 1.2  # of the longer side: COLMAP's guess without EXIF
_FISHEYE_FOCAL = 0.35  # 180° over the longer side would be 1/π
_POSSIBLE_FOCALS = (0.25, 25.0)  # views of 127° and of 2°


def widening(model: Any) -> float:
    """How many times larger straight pictures would be than those filmed, at most."""
    options = pycolmap.UndistortCameraOptions()
    found = [1.0]
    for camera in model.cameras.values():
        straight = pycolmap.undistort_camera(options, camera)
        found.append(max(straight.width / camera.width, straight.height / camera.height))
    return max(found)


def is_fisheye(model: Any) -> bool:
    """Whether its cameras are fisheyes already."""
    return any("FISHEYE" in camera.model.name for camera in model.cameras.values())


def take_for_fisheye(database: Path) -> None:
    """Let the cameras of a database be fisheyes of an unknown, very short focal length."""
    with colmap.opened(database) as handle:
        for camera in handle.read_all_cameras():
            focal = _FISHEYE_FOCAL * max(camera.width, camera.height)
            other = pycolmap.Camera.create_from_model_name(
                camera.camera_id, FISHEYE, focal, camera.width, camera.height
            )
            other.has_prior_focal_length = True  # near enough to verify pairs with
            handle.update_camera(other)


def known_focals(database: Path) -> list[float]:
    """Focal lengths in pixels that EXIF tells, one a camera that has any."""
    with colmap.opened(database) as handle:
        cameras = handle.read_all_cameras()
    return [camera.mean_focal_length() for camera in cameras if camera.has_prior_focal_length]


def forget_focals(database: Path, only_impossible: bool = False) -> None:
    """Replace focal lengths that EXIF tells by COLMAP's guess without EXIF.

    Args:
        only_impossible: Only those that no lens of a camera for photos has.
    """
    low, high = _POSSIBLE_FOCALS
    with colmap.opened(database) as handle:
        for camera in handle.read_all_cameras():
            side = max(camera.width, camera.height)
            is_possible = low <= camera.mean_focal_length() / side <= high
            if not camera.has_prior_focal_length or (only_impossible and is_possible):
                continue
            other = pycolmap.Camera.create_from_model_name(
                camera.camera_id, camera.model.name, _USUAL_FOCAL * side, camera.width,
                camera.height,
            )  # fmt: skip
            other.has_prior_focal_length = False
            handle.update_camera(other)
