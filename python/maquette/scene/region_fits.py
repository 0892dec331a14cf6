"""Regions that a person asks for: around chosen points, around cameras, given by numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.scene import region_rules
from maquette.scene.region import Region

Floats = NDArray[np.float64]

MARGIN = 1.02
COMPANY = 3
_DIRECTIONS = 128
_ROUNDS = 8
_STEPS = 400


def around_points(points: Floats, share: float = 1.0) -> Region:
    """The smallest sphere and box, with a small margin, around a share of the points [P, 3].

    With a share below 1, the points farthest from the sphere's centre are left out.

    Raises:
        BadInput: no points, all at one place, or a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise BadInput(f"the share of points inside must be above 0 and at most 1, not {share:g}")
    if len(points) < 2:
        raise BadInput(f"a region needs at least 2 points to fit, not {len(points)}")
    kept = points
    center = np.median(points, axis=0)
    for _ in range(_ROUNDS if share < 1 else 1):
        away = np.linalg.norm(points - center, axis=1)
        kept = points[away <= np.quantile(away, share, method="higher")]
        center = enclosing_center(kept)
    away = np.linalg.norm(points - center, axis=1)
    radius = float(np.quantile(away, share, method="higher"))
    kept = points[away <= radius]
    if radius <= 1e-9 * (1 + float(np.abs(center).max())):
        raise BadInput("all points to fit lie at one place")
    return _with_margin(center, radius, kept)


def around_cameras(centers: Floats, axes: Floats) -> Region:
    """The sphere around the place that cameras look at, through them; else the one that holds them.

    Args:
        centers, axes: [N, 3] where the cameras stand and look.

    Raises:
        BadInput: all cameras stand at one place.
    """
    meeting = region_rules.meeting_point(centers, axes) if len(centers) > 1 else None
    if meeting is not None and region_rules.is_in_view(meeting, centers, axes):
        return region_rules.by_poses(meeting, centers)
    return around_points(centers)


def enclosing_center(points: Floats) -> Floats:
    """Centre [3] of the smallest ball around the points [P, 3], to about 0.3 % of its radius.

    Source: Badoiu and Clarkson, "Smaller core-sets for balls", the simple algorithm; differs:
    it walks over the outermost points in many directions only, so that a million points are
    as quick as a thousand.
    """
    outer = _outermost(points)
    center = outer.mean(axis=0)
    for step in range(1, _STEPS + 1):
        farthest = outer[np.argmax(((outer - center) ** 2).sum(axis=1))]
        center = center + (farthest - center) / (step + 1)
    return center


def _outermost(points: Floats) -> Floats:
    if len(points) <= 4 * _DIRECTIONS:
        return points
    directions = np.random.default_rng(0).normal(size=(3, _DIRECTIONS))
    along = points @ directions
    return points[np.unique([along.argmax(axis=0), along.argmin(axis=0)])]


def _with_margin(center: Floats, radius: float, kept: Floats) -> Region:
    low, high = kept.min(axis=0), kept.max(axis=0)
    room = (MARGIN - 1) * radius
    return Region.around(center, MARGIN * radius, np.stack([low - room, high + room], axis=1))


def farthest_in_company(points: Floats, center: Floats, beyond: float, reach: float) -> float:
    """Distance from a centre [3] to the farthest of the points [P, 3] that is no stray one.

    A point is in company where `COMPANY` others or more lie within `reach` of it.

    Args:
        beyond: Points nearer to the centre than this are not asked, and it is the least answer.
    """
    away = np.linalg.norm(points - center, axis=1)
    order = np.argsort(-away)
    for index in order[: np.count_nonzero(away > beyond)]:
        near = np.linalg.norm(points - points[index], axis=1) <= reach
        if near.sum() > COMPANY:
            return float(away[index])
    return beyond
