"""Whether the principal point lies off the middle of the pictures, as after cropping."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.recon.sfm.colmap import hush, pycolmap
from maquette.recon.sfm.mapping import MappingOptions

Floats = NDArray[np.float64]

_LEAST_PICTURES = 8  # of six, a free principal point explained a fifth of the noise
_LEAST_GAIN = 0.01
_LEAST_SIGNIFICANCE = 10.0
_LARGEST_ERROR = 0.0015  # measured: at most 0.0008 on walks past and around, 0.0027 on a turntable
_ITERATIONS = 30


@dataclass(frozen=True)
class Evidence:
    """What is gained by a free principal point.

    Attributes:
        gain: Share of the squared reprojection error that goes.
        standard_error: Of the place that was found, in shares of the pictures' longer side.
        significance: How many standard errors the principal point moved.
    """

    gain: float
    standard_error: float
    significance: float

    @property
    def is_clear(self) -> bool:
        """Whether the principal point is surely off and its place surely known."""
        return (
            self.gain >= _LEAST_GAIN
            and self.significance >= _LEAST_SIGNIFICANCE
            and self.standard_error <= _LARGEST_ERROR
        )


def evidence(model: Any, options: MappingOptions) -> Evidence | None:
    """Try a free principal point; None where pictures are few or intrinsics known.

    The model itself stays as it is. On a path that leaves the principal point open, as a
    turntable does, the error hardly falls however far the point moves: by the likelihood ratio,
    the standard error is the way it moved over the root of the fall, in units of the variance.
    """
    if model.num_reg_images() < _LEAST_PICTURES or options.intrinsics_known:
        return None
    tried = copy.deepcopy(model)
    fixed = _adjusted(tried, free=False)
    before = _principal_points(tried)
    free = _adjusted(tried, free=True)
    moved = float(np.linalg.norm(_principal_points(tried) - before))
    residuals = 2 * tried.compute_num_observations()
    fall = max(fixed - free, 0.0)
    if not (fall and free and moved):
        return Evidence(0.0, float("inf"), 0.0)
    significance = float(np.sqrt(fall / (free / residuals)))
    side = max(max(camera.width, camera.height) for camera in tried.cameras.values())
    return Evidence(fall / fixed, moved / significance / side, significance)


def _adjusted(model: Any, free: bool) -> float:
    """Adjust the model; its squared reprojection error."""
    chosen = pycolmap.BundleAdjustmentOptions()
    chosen.print_summary = False
    chosen.refine_principal_point = free
    chosen.ceres.solver_options.max_num_iterations = _ITERATIONS
    pycolmap.bundle_adjustment(model, chosen)
    hush()
    return squared_error(model)


def _principal_points(model: Any) -> Floats:
    cameras = model.cameras.values()
    return np.array([(camera.principal_point_x, camera.principal_point_y) for camera in cameras])


def squared_error(model: Any) -> float:
    """The sum of all squared reprojection errors, square pixels."""
    total = 0.0
    for image in model.images.values():
        points = [point for point in image.points2D if point.has_point3D()] * image.has_pose
        if not points:
            continue
        seen = np.array([point.xy for point in points])  # [N, 2]
        world = np.array([model.points3D[point.point3D_id].xyz for point in points])  # [N, 3]
        pose = image.cam_from_world().matrix()  # [3, 4]
        made = image.camera.img_from_cam(world @ pose[:, :3].T + pose[:, 3])
        total += float(np.nansum((np.asarray(made) - seen) ** 2))
    return total


def offset(model: Any) -> tuple[float, float]:
    """How far the first camera's principal point lies off the middle, pixels right and down."""
    camera = next(iter(model.cameras.values()))
    return (
        camera.principal_point_x - camera.width / 2,
        camera.principal_point_y - camera.height / 2,
    )
