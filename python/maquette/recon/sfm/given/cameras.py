"""A camera with its pose, as other programs' files tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.sfm.colmap import pycolmap

# OpenGL's camera looks along -z with y up, OpenCV's and COLMAP's along z with y down.
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_ORTHONORMAL = 1e-3


@dataclass(frozen=True)
class Lens:
    """Intrinsics in COLMAP's words.

    Attributes:
        params: In COLMAP's order, pixels from the upper left corner of the picture.
        is_known: They are measured, not a rule of thumb.
    """

    model: str
    params: tuple[float, ...]
    width: int
    height: int
    is_known: bool = True

    def scaled(self, width: int, height: int) -> Lens:
        """Of pictures of another size and the same shape.

        Raises:
            BadInput: the shape is another.
        """
        if (width, height) == (self.width, self.height):
            return self
        across, down = width / self.width, height / self.height
        if abs(across / down - 1) > 0.02:
            raise BadInput(
                f"the given camera is of pictures of {self.width}×{self.height}, "
                f"these have {width}×{height}",
                hint="give the pictures that the poses were made with, or POSES=find",
            )
        camera = pycolmap.Camera.create_from_model_name(1, self.model, 1.0, width, height)
        params = np.array(self.params)
        params[list(camera.focal_length_idxs())] *= across
        horizontal, vertical = camera.principal_point_idxs()
        params[horizontal] *= across
        params[vertical] *= down
        return replace(self, params=tuple(params.tolist()), width=width, height=height)


@dataclass(frozen=True)
class GivenCamera:
    """A picture's camera.

    Attributes:
        picture: As the file names it; folders and suffix may be missing.
        cam_from_world: [4, 4], camera axes as OpenCV's (x right, y down, z forward).
    """

    picture: str
    lens: Lens
    cam_from_world: NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """The poses of an input: who made them, in which file, and the cameras."""

    program: str
    file: str
    cameras: Sequence[GivenCamera]


def from_world_from_cam(matrix: Any, is_opengl: bool, file: str) -> NDArray[np.float64]:
    """Cam-from-world [4, 4] of a world-from-cam [3, 4] or [4, 4]; a uniform scale is taken out.

    Raises:
        BadInput: it is no pose.
    """
    pose = np.eye(4)
    try:
        rows = np.asarray(matrix, dtype=np.float64)
        pose[: len(rows)] = rows
    except (TypeError, ValueError) as error:
        raise not_a_pose(file) from error
    scale = np.cbrt(np.linalg.det(pose[:3, :3]))
    if not np.isfinite(pose).all() or scale < 1e-9:
        raise not_a_pose(file)
    pose[:3, :3] /= scale
    if np.abs(pose[:3, :3].T @ pose[:3, :3] - np.eye(3)).max() > _ORTHONORMAL:
        raise not_a_pose(file)
    return np.linalg.inv(pose @ OPENCV_FROM_OPENGL if is_opengl else pose).astype(np.float64)


def not_a_pose(file: str) -> BadInput:
    """The error of a file whose numbers are no poses."""
    return BadInput(
        f"the poses of `{file}` can not be read: a matrix is not a rotation and a place",
        hint="write the file again, or leave it out with POSES=find",
    )


def lens_of(numbers: Mapping[str, Any], file: str) -> Lens:
    """Intrinsics in nerfstudio's and instant-ngp's words.

    Raises:
        BadInput: there is no focal length or size, or a projection that has no straight view.
    """
    try:
        return _lens_of(numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"the camera of `{file}` can not be used: {error}",
            hint="it needs w, h and fl_x (or camera_angle_x); or leave it out with POSES=find",
        ) from error


def _lens_of(numbers: Mapping[str, Any]) -> Lens:
    width, height = int(numbers["w"]), int(numbers["h"])
    model = str(numbers.get("camera_model", ""))
    if model == "EQUIRECTANGULAR":
        raise ValueError("360° panoramas have no single camera")
    if "fl_x" in numbers:
        focal_x = float(numbers["fl_x"])
    else:
        focal_x = width / 2 / np.tan(float(numbers["camera_angle_x"]) / 2)
    if "fl_y" in numbers:
        focal_y = float(numbers["fl_y"])
    elif "camera_angle_y" in numbers:
        focal_y = height / 2 / np.tan(float(numbers["camera_angle_y"]) / 2)
    else:
        focal_y = focal_x
    middle = float(numbers.get("cx", width / 2)), float(numbers.get("cy", height / 2))
    k1, k2, k3, k4, p1, p2 = (
        float(numbers.get(name) or 0) for name in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    if "FISHEYE" in model or numbers.get("is_fisheye"):
        return Lens("OPENCV_FISHEYE", (focal_x, focal_y, *middle, k1, k2, k3, k4), width, height)
    if k3 or k4:
        params = (focal_x, focal_y, *middle, k1, k2, p1, p2, k3, k4, 0.0, 0.0)
        return Lens("FULL_OPENCV", params, width, height)
    if k1 or k2 or p1 or p2:
        return Lens("OPENCV", (focal_x, focal_y, *middle, k1, k2, p1, p2), width, height)
    return Lens("PINHOLE", (focal_x, focal_y, *middle), width, height)
