"""Where photographs show that there is nothing: before what they see, and below the sky.

Depth maps tell how far one sees; in the sky that is without end. A place that some views see
through and none sees something before is free: space carving (Kutulakos and Seitz, IJCV 2000) of
depths. What several see sky through is free whatever the depths of others say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

_DRAWN = 200_000  # places in the sphere that are looked at
_LEAST_VIEWS = 2  # that see through a place
_NEAR, _FAR = 0.97, 1.03  # of a depth: what is nearer is before it, what is farther behind it
_RIM = 5  # pixels: width of the window whose nearest depth counts, so that thin things stay


def free_places(
    frames: Sequence[Frame],
    views: Sequence[int],
    depth_of: Callable[[int], Floats],
    sky_in: Callable[[int], Bools],
    region: Region,
) -> NDArray[np.float32]:
    """Random places of a region's sphere that are free, [N, 3] world frame.

    Half of those asked lie anywhere, half on lines of sight: in a long sphere around a street few
    of the others are where people walk.

    Args:
        frames: Cameras of the maps' sizes.
        views: Those that have a map.
        depth_of, sky_in: By view, [H, W]: depths, 0 where there is none; which pixels show sky.
    """
    draw = np.random.default_rng(0)
    alone = _DRAWN // 2 // max(1, len(views))
    sights = [_sights(frames[v], depth_of(v), sky_in(v), region, alone, draw) for v in views]
    places = np.concatenate([_anywhere(region, _DRAWN // 2, draw), *sights])
    through, in_sky = np.zeros(len(places), np.int32), np.zeros(len(places), np.int32)
    hidden = np.zeros(len(places), np.bool_)
    for view in views:
        sky = sky_in(view)
        depth = np.where(sky, 0.0, depth_of(view))
        far, rows, columns = _looked_at(places, frames[view])
        known = np.where(depth > 0, depth, np.inf)
        nearest = ndimage.minimum_filter(known, _RIM)[rows, columns]
        in_sky += sky[rows, columns] & (far > 0)
        through += np.isfinite(nearest) & (far > 0) & (far < _NEAR * nearest)
        hidden |= far > _FAR * known[rows, columns]
    is_free = (in_sky >= _LEAST_VIEWS) | (through + in_sky >= _LEAST_VIEWS) & ~hidden
    return places[is_free].astype(np.float32)


def _anywhere(region: Region, count: int, draw: np.random.Generator) -> Floats:
    """Places [N, 3] in a region's sphere."""
    away = draw.normal(size=(count, 3))
    away *= (draw.random(count) ** (1 / 3) / np.linalg.norm(away, axis=1))[:, None]
    return region.world_from_unit(away)


def _sights(
    frame: Frame, depth: Floats, sky: Bools, region: Region, count: int, draw: np.random.Generator
) -> Floats:
    """Places [N, 3] in the sphere, before what random pixels show, as often at any distance."""
    rows, columns = np.nonzero(sky | (depth > 0))
    if not len(rows):
        return np.empty((0, 3))
    chosen = draw.integers(len(rows), size=count)
    rows, columns, lens = rows[chosen], columns[chosen], frame.intrinsics
    x, y = (columns + 0.5 - lens.cx) / lens.fl_x, (rows + 0.5 - lens.cy) / lens.fl_y
    rays = np.stack([x, y, np.ones(count)], axis=1) @ frame.world_from_cam[:3, :3].T
    eye = frame.world_from_cam[:3, 3]
    enters, leaves = _sphere_on(rays, eye, region)
    shown = np.where(sky[rows, columns], np.inf, depth[rows, columns])
    ends = np.minimum(shown, leaves)
    far = enters + (ends - enters) * draw.random(count)
    return (eye + far[:, None] * rays)[ends > enters]


def _sphere_on(rays: Floats, eye: Floats, region: Region) -> tuple[Floats, Floats]:
    """Between which lengths [N] along rays [N, 3] from an eye the sphere lies; empty if never."""
    square, toward = (rays**2).sum(1), rays @ (np.asarray(region.center) - eye)
    off = ((np.asarray(region.center) - eye) ** 2).sum() - region.radius**2
    root = np.sqrt(np.maximum(toward**2 - square * off, 0.0))
    return np.maximum((toward - root) / square, 0.0), (toward + root) / square


def is_in_sky(
    points: Floats,
    frames: Sequence[Frame],
    views: Sequence[int],
    sky_in: Callable[[int], Bools],
) -> Bools:
    """Which points [N, 3] of the world lie where several views show sky: nothing is there."""
    through = np.zeros(len(points), np.int32)
    for view in views:
        far, rows, columns = _looked_at(points, frames[view])
        through += sky_in(view)[rows, columns] & (far > 0)
    return through >= _LEAST_VIEWS


def _looked_at(places: Floats, frame: Frame) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Depths [N] of places, −1 outside the picture, and rows and columns of their pixels."""
    lens = frame.intrinsics
    x, y, far = ((places - frame.world_from_cam[:3, 3]) @ frame.world_from_cam[:3, :3]).T
    before = np.maximum(far, 1e-9)
    columns, rows = lens.fl_x * x / before + lens.cx, lens.fl_y * y / before + lens.cy
    is_in = (far > 0) & (columns >= 0) & (columns < lens.width)
    is_in &= (rows >= 0) & (rows < lens.height)
    return (
        np.where(is_in, far, -1.0),
        np.where(is_in, rows, 0).astype(np.intp),
        np.where(is_in, columns, 0).astype(np.intp),
    )
