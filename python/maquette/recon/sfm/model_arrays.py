"""A COLMAP model as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.sfm.engine import pycolmap
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelArrays:
    """Cameras and points, world frame.

    Attributes:
        world_from_cam: [N, 4, 4], COLMAP's camera axes (z forward), in the order of `names`.
        points: [P, 3]; `colors` [P, 3] are their 8-bit RGB.
    """

    names: tuple[str, ...]
    intrinsics: tuple[Intrinsics, ...]
    world_from_cam: Floats
    points: Floats
    colors: NDArray[np.uint8]

    @property
    def centers(self) -> Floats:
        """Where the cameras stand, [N, 3]."""
        return self.world_from_cam[:, :3, 3]

    @property
    def axes(self) -> Floats:
        """Where the cameras look, unit vectors, [N, 3]."""
        return self.world_from_cam[:, :3, 2]

    def frames(self) -> tuple[Frame, ...]:
        """The cameras as `transforms.json` lists them."""
        parts = zip(self.names, self.world_from_cam, self.intrinsics, strict=True)
        return tuple(Frame(f"images/{name}", pose, camera) for name, pose, camera in parts)


def read(folder: Path) -> ModelArrays:
    """Read an undistorted model (PINHOLE cameras), images sorted by name.

    Raises:
        BadInput: a camera is not a pinhole.
    """
    model = pycolmap.Reconstruction(folder)
    images = sorted(
        (image for image in model.images.values() if image.has_pose), key=lambda i: i.name
    )
    points = list(model.points3D.values())
    return ModelArrays(
        names=tuple(image.name for image in images),
        intrinsics=tuple(_intrinsics(image.camera) for image in images),
        world_from_cam=np.array([_world_from_cam(image) for image in images]).reshape(-1, 4, 4),
        points=np.array([point.xyz for point in points], dtype=np.float64).reshape(-1, 3),
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
    )


def _world_from_cam(image: pycolmap.Image) -> Floats:
    matrix = np.eye(4)
    matrix[:3] = image.cam_from_world().inverse().matrix()
    return matrix


def _intrinsics(camera: pycolmap.Camera) -> Intrinsics:
    if camera.model.name != "PINHOLE":
        raise BadInput(
            f"camera {camera.camera_id} is {camera.model.name}, not an undistorted PINHOLE",
            hint="run `make prepare` again with FORCE_STAGE=undistort",
        )
    fl_x, fl_y, cx, cy = map(float, camera.params)
    return Intrinsics(camera.width, camera.height, fl_x, fl_y, cx, cy)
