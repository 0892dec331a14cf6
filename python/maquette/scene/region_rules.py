"""Where the region of interest lies, by the two rules of Neuralangelo's data preparation.

World units and axes are COLMAP's. Notation: camera i stands at c_i [3] and looks along the
unit vector d_i [3]. The sphere turns and scales with the scene; the box is axis-aligned.

Differs from its source where noted. `region_search` has this program's own rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.scene.region import Region

Floats = NDArray[np.float64]

MIN_POINTS = 10
_MIN_SINE = np.sin(np.radians(2.0))  # axes closer to parallel on average have no meeting point
_INWARD_ANGLE_DEG = 30.0
_SHARE_KEPT = 0.98


@dataclass(frozen=True)
class Estimate:
    """A region, the rule that gave it (`poses`, `points`, `view`, `density`), a remark or ""."""

    region: Region
    rule: str
    remark: str = ""


def estimate(scene_type: str, centers: Floats, axes: Floats, points: Floats) -> Estimate:
    """Choose the region of a scene.

    Args:
        scene_type: object, indoor or outdoor.
        centers, axes: c and d, [N, 3]; points: [P, 3].

    Raises:
        BadInput: too few points, or all cameras stand at the same place.
    """
    check(centers, points)
    if scene_type == "indoor":
        return Estimate(by_points(points), "points")
    if scene_type == "outdoor" and not circles_its_centroid(centers, axes):
        return Estimate(by_points(points), "points")
    meeting = meeting_point(centers, axes)
    if meeting is None or not is_in_view(meeting, centers, axes):
        return Estimate(
            by_points(points),
            "points",
            "the cameras do not look at one common place, so the region is taken from the points",
        )
    return Estimate(by_poses(meeting, centers), "poses")


def by_poses(meeting: Floats, centers: Floats) -> Region:
    """The sphere around the meeting point through the cameras, on average.

    Differs: the radius is the cameras' mean distance from this centre, not from the world's
    origin, which means nothing when the origin lies elsewhere.
    """
    radius = float(np.linalg.norm(centers - meeting, axis=1).mean())
    return Region.around(meeting, radius)


def by_points(points: Floats) -> Region:
    """Mean of the points, twice their largest spread; box of three spreads an axis.

    Differs: the 2 % of points farthest from the mean are left out, since a few wild ones
    decide a variance; and the spread is that along the longest principal axis instead of the
    longest world axis, so that the sphere does not depend on how the world is turned.
    """
    away = np.linalg.norm(points - points.mean(axis=0), axis=1)
    kept = points[away <= np.quantile(away, _SHARE_KEPT)]
    center, spread = kept.mean(axis=0), kept.std(axis=0)
    longest = float(np.sqrt(np.linalg.eigvalsh(np.cov(kept.T, bias=True))[-1]))
    margin = np.maximum(3 * spread, 1e-3 * longest)  # a flat scene still has a box
    return Region.around(center, 2 * longest, np.stack([center - margin, center + margin], axis=1))


def meeting_point(centers: Floats, axes: Floats) -> Floats | None:
    """The point that the optical axes pass nearest to, [3]; None if they are all parallel.

    The mean over camera pairs of the point halfway between the two axes where they are
    closest. Differs: a pair counts by sin² of the angle between its axes, because that point
    is undefined for parallel axes and far off for nearly parallel ones.
    """
    first, second = np.triu_indices(len(centers), k=1)  # [M]
    between = centers[second] - centers[first]  # [M, 3]
    d1, d2 = axes[first], axes[second]
    cosine = (d1 * d2).sum(axis=1)  # [M]
    sine2 = 1 - cosine**2
    along1, along2 = (between * d1).sum(axis=1), (between * d2).sum(axis=1)
    if np.sqrt(max(float(sine2.mean()), 0.0)) < _MIN_SINE:
        return None
    # Distances s, t along the axes solve [1 −cos; cos −1] [s t]ᵀ = [along1 along2]ᵀ; both are
    # multiplied by sin² here, which cancels against the pair's weight.
    s = along1 - cosine * along2
    t = cosine * along1 - along2
    weighted = (
        sine2[:, None] * (centers[first] + centers[second]) + s[:, None] * d1 + t[:, None] * d2
    )
    return np.asarray(weighted.sum(axis=0) / (2 * sine2.sum()))


def circles_its_centroid(centers: Floats, axes: Floats) -> bool:
    """Whether most cameras look at their common centroid from a similar distance.

    True if more than half look within 30° of it and stand at a distance r with
    |mean − r| ≤ r / 2.
    """
    to_centroid = centers.mean(axis=0) - centers
    distance = np.linalg.norm(to_centroid, axis=1)
    cosine = (to_centroid * axes).sum(axis=1) / np.maximum(distance, 1e-12)
    looks = cosine >= np.cos(np.radians(_INWARD_ANGLE_DEG))
    near = np.abs(distance.mean() - distance) <= 0.5 * distance
    return bool((looks & near).mean() > 0.5)


def is_in_view(point: Floats, centers: Floats, axes: Floats) -> bool:
    """Whether a point [3] lies in front of most cameras."""
    return bool((((point - centers) * axes).sum(axis=1) > 0).mean() > 0.5)


def check(centers: Floats, points: Floats) -> None:
    """Refuse a model that says nothing about a region.

    Raises:
        BadInput: too few points, or all cameras stand at the same place.
    """
    check_points(points)
    around = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max(initial=0.0)
    depth = np.median(np.linalg.norm(points - centers.mean(axis=0), axis=1))
    if around <= 1e-4 * depth:
        raise BadInput(
            f"all {len(centers)} cameras stand at the same place: a turn on the spot has no depth",
            hint="walk around the object while filming",
        )


def check_points(points: Floats) -> None:
    """Refuse a model that has too few points to place a region.

    Raises:
        BadInput: there are too few.
    """
    if len(points) < MIN_POINTS:
        raise BadInput(
            f"the model has only {counted(len(points), 'point')}, "
            f"a region needs at least {MIN_POINTS}",
            hint="sharper or closer pictures help; try `make prepare FRAMES=200`",
        )
