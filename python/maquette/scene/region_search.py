"""Find the region of interest: one thing that the pictures keep in their middle, or a place.

**One thing**: the optical axes meet, and what the pictures show in their middle lies there. The
region is the ball around the points that hang together there, without the ground they stand on.
**A place** (a room, a street, a front walked past, a flight): there is no such thing, and the
region is where the points are that some camera came near to. Cameras and points decide which it
is; the scene type says whether a room is meant, and how wide the sphere of a circled object is.
Frames and notation as in `region_rules`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maquette.scene import region_fits, region_links, region_rules, region_support
from maquette.scene.colmap_model import SparseModel
from maquette.scene.region import Region
from maquette.scene.region_rules import Estimate
from maquette.scene.region_views import Views, weighted_quantile

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]
Rule = Literal["auto", "view", "upstream"]

_AIM = 0.5  # times the angle by which the cameras turn: they miss one place by less, or have none
_AIMED_VOTES = 0.25  # of what the pictures show in their middle lies at that place, or it is empty
_WIDEST_GAP_DEG = 60.0  # each side of a circled thing is seen from 30° off at most
_MOST, _SOME = 0.5, 1 / 3  # of the pictures: where the thing begins, how far it is followed
_STANDING_VOTES = 0.1  # of what is in the middle; less is dirt on the ground, which is then meant
_CARRIES_ON = 1.2  # times as far as what stands on it, or it is no ground but the thing's own side
_CORE_VOTES = 0.5
_CORE_ROUNDS = 8
_GROUP, _HANGING = 0.1, 0.8  # smallest group, and what the groups hold, of the core
_TRIM = 0.99
_THING_MARGIN = 1.2  # features end before the thing does, and its far side has none
_TIP_MARGIN = 1.1  # thin ends have few points, so they are what the trim takes first
_TIP_REACH = 0.15  # of the ball's radius: how near those lie to one another
_CLEARANCE = 0.9  # of the distance of the nearest camera
_NEAR_SHARE = 0.25  # of the points are in the foreground, whatever is behind
_FAR, _FAR_INSIDE = 2.2, 4.0  # times their distance; rooms are long, what windows show is far
_PLACE_GROUP, _PLACE_HANGING = 0.02, 0.95
_PLACE_MARGIN = 1.05
_ALL_ROUND = 0.5  # length of the mean axis below which cameras look all around
_LITTLE = 0.5  # of what is in the middle of the pictures
_NO_COMMON_PLACE = (
    "the cameras keep no common place in view, so the region is taken from the points"
)
_ALL_AROUND = "the cameras look all around as in a room; SCENE_TYPE=indoor trains that from inside"
_CIRCLES = (
    "the cameras go round one place; if it is one thing that counts, SCENE_TYPE=object fits it"
)


def by_rule(rule: Rule, scene_type: str, model: SparseModel, up: Floats | None = None) -> Estimate:
    """The region by one of the rules: `auto` is `find`, `view` fits circled objects too.

    Raises:
        BadInput: too few points, or all cameras stand at the same place.
    """
    if rule == "upstream":
        return region_rules.estimate(scene_type, model.centers, model.axes, model.points)
    return find(scene_type, model, tight=rule == "view", up=up)


def find(
    scene_type: str, model: SparseModel, *, tight: bool = False, up: Floats | None = None
) -> Estimate:
    """Choose the region of a scene.

    Args:
        scene_type: object, indoor or outdoor. Indoor is always a place.
        tight: Fit the sphere to an object that is circled as well. Otherwise it is the cameras'
            orbit, for which training's presets are made, and the box alone is fitted.
        up: The direction [3] that is up, where it is told; else the cameras tell it.

    Raises:
        BadInput: too few points, or all cameras stand at the same place.
    """
    region_rules.check(model.centers, model.points)
    views = Views.of(model)
    known = region_support.upwards(model.world_from_cam) if up is None else up
    found = _find(scene_type, model, views, tight, known)
    remarks = [text for text in (found.remark, left_out(found.region, model, views)) if text]
    return Estimate(found.region, found.rule, "\n".join(remarks))


def left_out(region: Region, model: SparseModel, views: Views) -> str:
    """What to tell the person about a region that holds little of what pictures show, or ""."""
    middle = views.share(region.contains(views.points))
    if middle >= _LITTLE:
        return ""
    points = float(region.contains(model.points).mean())
    return (
        f"the region holds {100 * points:.0f} % of the points and {100 * middle:.0f} % of what the "
        "pictures show in their middle, the rest is taken for ground and background: "
        "`make region` shows it, `maquette region fit --points-inside 0.98` takes it in"
    )


def _find(scene_type: str, model: SparseModel, views: Views, tight: bool, up: Floats) -> Estimate:
    meeting = aimed_at(model, views)
    circled = meeting is not None and is_circled(meeting, model.world_from_cam, up)
    if meeting is not None and scene_type != "indoor":
        fitted = thing(model, views, meeting, up)
        if circled and scene_type == "object" and not tight:
            orbit = region_rules.by_poses(meeting, model.centers)
            box = orbit.box if fitted is None else fitted.box
            return Estimate(replace(orbit, box=box), "poses")
        if fitted is not None:
            return Estimate(fitted, "view")
    inside = meeting is None and bool(np.linalg.norm(model.axes.mean(axis=0)) < _ALL_ROUND)
    remark = _CIRCLES if circled and scene_type == "indoor" else ""
    if scene_type != "indoor" and inside:
        remark = _ALL_AROUND
    elif scene_type == "object":
        remark = _NO_COMMON_PLACE
    return Estimate(place(views, model.world_from_cam, inside=inside), "density", remark)


def aimed_at(model: SparseModel, views: Views) -> Floats | None:
    """The place [3] that the cameras keep in their middle as they turn, if something is there."""
    centers, axes = model.centers, model.axes
    meeting = region_rules.meeting_point(centers, axes)
    if meeting is None or not region_rules.is_in_view(meeting, centers, axes):
        return None
    towards = _unit(meeting - centers)
    missed, turned = _angles(axes, towards), _angles(axes, _unit(axes.mean(axis=0)))
    if np.median(missed) > _AIM * np.median(turned):
        return None
    within = np.linalg.norm(views.points - meeting, axis=1) <= _reach(meeting, centers)
    return meeting if views.share(within) >= _AIMED_VOTES else None


def is_circled(place: Floats, world_from_cam: Floats, up: Floats | None = None) -> bool:
    """Whether cameras [N, 4, 4] stand all round a place [3], seen from above.

    Args:
        up: The direction [3]; None: as the cameras were held.
    """
    up = region_support.upwards(world_from_cam) if up is None else up
    away = world_from_cam[:, :3, 3] - place
    level = away - np.outer(away @ up, up)
    right = np.linalg.svd(level, full_matrices=False)[2][0]
    turns = np.sort(np.arctan2(level @ np.cross(up, right), level @ right))
    gaps = np.diff(turns, append=turns[0] + 2 * np.pi)
    return bool(np.degrees(gaps.max()) <= _WIDEST_GAP_DEG)


def thing(model: SparseModel, views: Views, meeting: Floats, up: Floats) -> Region | None:
    """The ball around what stands at the meeting point [3]; None if too few points do.

    It begins at the middle of what pictures show in their middle, and follows the points that hang
    together from there as long as a third of the pictures have them in their frame.
    """
    reach = _reach(meeting, model.centers)
    near = np.linalg.norm(views.points - meeting, axis=1) <= reach
    seeds = near & (views.shown >= _MOST)
    standing = _standing(model, views, seeds, reach, up)
    begun = seeds & standing & (views.votes > 0)
    if begun.sum() < region_rules.MIN_POINTS:
        return None
    turn = model.world_from_cam[0, :3, :3]  # what follows turns with the scene
    local = views.points @ turn
    core, radius = _core(local[begun], views.votes[begun], meeting @ turn, reach)
    points = local[standing & (views.shown >= _SOME)]
    in_core = np.linalg.norm(points - core, axis=1) <= radius
    if radius <= 1e-6 * reach:
        return None
    kept = points[region_links.hanging_together(points, in_core, radius, _GROUP, _HANGING)]
    ball = region_fits.around_points(kept, _TRIM)
    away = np.linalg.norm(kept - ball.center, axis=1)
    center = turn @ ball.center
    tight = ball.radius / region_fits.MARGIN
    middle = np.asarray(ball.center)
    tip = region_fits.farthest_in_company(kept, middle, tight, _TIP_REACH * tight)
    radius = max(_THING_MARGIN * tight, _TIP_MARGIN * tip)
    clear = _CLEARANCE * float(np.linalg.norm(model.centers - center, axis=1).min())
    if (away <= clear).mean() >= _TRIM:
        radius = min(radius, clear)
    return Region.around(center, radius)


def place(views: Views, world_from_cam: Floats, *, inside: bool) -> Region:
    """Ball and box around the points that some camera came near to.

    Args:
        world_from_cam: [N, 4, 4].
        inside: The cameras look all around them, and belong to the place.
    """
    centers, turn = world_from_cam[:, :3, 3], world_from_cam[0, :3, :3]
    usual = float(np.quantile(views.nearest, _NEAR_SHARE))
    near = views.points[views.nearest <= (_FAR_INSIDE if inside else _FAR) * usual]
    seeds = np.ones(len(near), bool)
    together = region_links.hanging_together(
        near @ turn, seeds, usual / 2, _PLACE_GROUP, _PLACE_HANGING
    )
    kept = np.concatenate([near[together], centers]) if inside else near[together]
    ball = region_fits.around_points(kept)
    radius = _PLACE_MARGIN * ball.radius / region_fits.MARGIN
    room = radius - ball.radius / region_fits.MARGIN
    box = np.stack([kept.min(axis=0) - room, kept.max(axis=0) + room], axis=1)
    return Region.around(ball.center, radius, box)


def _standing(model: SparseModel, views: Views, seeds: Chosen, reach: float, up: Floats) -> Chosen:
    """Which points [S] are not of the ground, if there is ground that goes on around a thing."""
    everything = np.ones(len(views.points), bool)
    plane = region_support.find(views.points[seeds], model.centers, up, reach)
    if plane is None:
        return everything
    standing = plane.height(views.points) > plane.thickness
    begun, ground = standing & seeds, seeds & ~standing
    if views.share(begun) < _STANDING_VOTES * views.share(seeds):
        return everything
    level = views.points - np.outer(plane.height(views.points), plane.normal)
    level = level @ model.world_from_cam[0, :3, :3]
    middle = _middle(level[begun], views.votes[begun])
    away = np.linalg.norm(level - middle, axis=1)
    wide = weighted_quantile(away[begun], views.votes[begun], 0.5)
    return standing if np.median(away[ground]) > _CARRIES_ON * wide else everything


def _core(points: Floats, votes: Floats, center: Floats, radius: float) -> tuple[Floats, float]:
    """The ball around the points' middle that holds half of the votes: centre [3] and radius."""
    for _ in range(_CORE_ROUNDS):
        within = np.linalg.norm(points - center, axis=1) <= radius
        center = _middle(points[within], votes[within])
        away = np.linalg.norm(points - center, axis=1)
        radius = weighted_quantile(away, votes, _CORE_VOTES)
    return center, radius


def _middle(points: Floats, votes: Floats) -> Floats:
    return np.array([weighted_quantile(values, votes, 0.5) for values in points.T])


def _reach(meeting: Floats, centers: Floats) -> float:
    """How near to the meeting point the nearer cameras stand: a thing filmed lies within."""
    return float(np.quantile(np.linalg.norm(centers - meeting, axis=1), 0.1))


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def _angles(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.arccos(np.clip((one * other).sum(axis=-1), -1, 1)))
