"""Find the region of interest: what the cameras have in view together, and where points are dense.

A person who films an object keeps it in the picture. So the object lies in the largest ball
around the place they aim at that fits into most pictures, however far the background reaches.
Where no such place exists (a room, a street, a flight), the region is where the points are,
without those that lie far behind the rest. Frames and notation as in `region_rules`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.scene import region_rules
from maquette.scene.colmap_model import SparseModel
from maquette.scene.region import Region
from maquette.scene.region_rules import Estimate
from maquette.scene.transforms import Intrinsics

Floats = NDArray[np.float64]

_VIEW_QUANTILE = 0.75  # of the balls that fit into one picture each: some pictures cut it off
_VIEW_MARGIN = 1.1
_POINTS_MARGIN = 1.3
_CAMERA_CLEARANCE = 0.9  # of the distance of the nearer cameras, which stay outside
_SMALLEST_VIEW = 0.1  # of the cameras' distance; less: they do not keep one place in view
_FAR = 3.0  # times the middle distance from the cameras: background
_SHARE_KEPT = 0.98
_ROOM_MARGIN = 1.05
_MOST_POINTS = 20_000
_NO_COMMON_PLACE = (
    "the cameras keep no common place in view, so the region is taken from the points"
)


def find(scene_type: str, model: SparseModel) -> Estimate:
    """Choose the region of a scene.

    Args:
        scene_type: object, indoor or outdoor. Indoor never looks for a common view.

    Raises:
        BadInput: too few points, or all cameras stand at the same place.
    """
    region_rules.check(model.centers, model.points)
    points = _sample(model.points)
    if scene_type == "indoor":
        return Estimate(by_density(points, model.centers, indoor=True), "density")
    lenses = [lens.pinhole() for lens in model.lenses]
    region = by_view(model.world_from_cam, lenses, points)
    if region is not None:
        return Estimate(region, "view")
    remark = "" if scene_type == "outdoor" else _NO_COMMON_PLACE
    return Estimate(by_density(points, model.centers, indoor=False), "density", remark)


def by_view(world_from_cam: Floats, lenses: list[Intrinsics], points: Floats) -> Region | None:
    """The ball around the cameras' common place that fits into most pictures.

    It shrinks to the points in it when these reach less far, and stays in front of the cameras.

    Args:
        world_from_cam: [N, 4, 4]; points: [P, 3].
    Returns:
        None if the cameras have no common place in view.
    """
    centers, axes = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
    meeting = region_rules.meeting_point(centers, axes)
    if meeting is None:
        return None
    distance = np.linalg.norm(centers - meeting, axis=1)
    fitting = view_radii(meeting, world_from_cam, lenses)
    if np.median(fitting) < _SMALLEST_VIEW * np.median(distance):
        return None
    widest = float(np.quantile(fitting, _VIEW_QUANTILE))
    radius = min(_VIEW_MARGIN * widest, _CAMERA_CLEARANCE * float(np.quantile(distance, 0.1)))
    away = np.linalg.norm(points - meeting, axis=1)
    inside = away[away <= radius]
    if len(inside) >= region_rules.MIN_POINTS:
        radius = min(radius, _POINTS_MARGIN * float(np.quantile(inside, _SHARE_KEPT)))
    return Region.around(meeting, radius)


def view_radii(center: Floats, world_from_cam: Floats, lenses: list[Intrinsics]) -> Floats:
    """Radius of the largest ball around `center` [3] in each picture, [N]; negative: not in view.

    It is the distance to the nearest of the four planes through the camera and a picture's edge.
    """
    local = np.einsum("nji,nj->ni", world_from_cam[:, :3, :3], center - world_from_cam[:, :3, 3])
    edges = np.array(
        [
            [-lens.cx / lens.fl_x, (lens.width - lens.cx) / lens.fl_x,
             -lens.cy / lens.fl_y, (lens.height - lens.cy) / lens.fl_y]
            for lens in lenses
        ]
    )  # fmt: skip
    across = local[:, [0, 0, 1, 1]] - edges * local[:, 2:]  # [N, 4]
    inwards = across * [1, -1, 1, -1] / np.sqrt(1 + edges**2)
    return np.asarray(np.minimum(inwards.min(axis=1), local[:, 2]))


def by_density(points: Floats, centers: Floats, *, indoor: bool) -> Region:
    """Sphere and box around the bulk of the points [P, 3].

    Background is what lies several times farther from the cameras [N, 3] than points usually do,
    so up to half of all points may be background. A room's region holds the cameras too.
    """
    middle = np.median(centers, axis=0)
    away = np.linalg.norm(points - middle, axis=1)
    near = points[away <= _FAR * np.median(away)]
    tail = (1 - _SHARE_KEPT) / 2
    low, high = np.quantile(near, [tail, 1 - tail], axis=0)
    if indoor:
        low, high = np.minimum(low, centers.min(axis=0)), np.maximum(high, centers.max(axis=0))
    center = (low + high) / 2
    half = _ROOM_MARGIN * np.maximum((high - low) / 2, 1e-3 * np.linalg.norm(high - low))
    kept = near[(np.abs(near - center) <= half).all(axis=1)]
    if indoor:
        kept = np.concatenate([kept, centers])
    radius = _ROOM_MARGIN * float(np.linalg.norm(kept - center, axis=1).max())
    return Region.around(center, radius, np.stack([center - half, center + half], axis=1))


def _sample(points: Floats) -> Floats:
    """Every n-th point: the same ones each time, and enough for any quantile here."""
    return points[:: max(1, -(-len(points) // _MOST_POINTS))]
