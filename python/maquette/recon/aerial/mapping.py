"""From splats and photos to a map: where it lies, its heights, and its colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.aerial.elevation import Heights, tidied, without_pits
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.aerial.seen_from_above import seen_from_above
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.views.views import Views
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
Told = Callable[[str, int, int], None]
PIT_SHARE = 0.005  # of the flying height: a deeper pit in the ground is filled
_EDGE = 0.003  # of the splats at each side that lie apart
_OPAQUE = 0.3
_HIGH = 0.99


@dataclass(frozen=True)
class MapOptions:
    """What a map is to be.

    Attributes:
        size: Of a pixel, in the map's unit; 0: what a photo shows of the ground.
        most_px: The longer side at most.
        least_views: Photos that must have a place in their picture, or all where they are fewer.
        by_photos: Colours of the photos, laid on the surface; else those of the splats.
    """

    size: float = 0.0
    most_px: int = 4096
    least_views: int = 3
    by_photos: bool = True


@dataclass(frozen=True)
class Map:
    """A map.

    Attributes:
        heights: [H, W] in the map without its offset, `colors` [H, W, 3] sRGB 0..1; NaN = nothing.
        flying_height: Of the usual camera above the usual height, in the map's unit.
        above_lowest_camera: How far the highest hundredth of the surface rises over it.
    """

    grid: Grid
    heights: Heights
    colors: NDArray[np.float32]
    flying_height: float
    above_lowest_camera: float = -np.inf


def make_map(
    splats: Gaussians, views: Views, frame: MapFrame, options: MapOptions,
    told: Told = lambda name, done, total: None,
) -> Map:  # fmt: skip
    """Draw the map of all that is seen of splats, world units, from above."""
    low, high, flying_height = extent_of(splats, views.frames, frame)
    focal = np.median([view.intrinsics.fl_x for view in views.frames])
    size = options.size or flying_height / float(focal)
    grid = Grid.around(low, high, size, options.most_px, frame.offset)
    told("maps", 0, 3)
    eyes = frame.mapped(_eyes(views.frames))
    shown = seen_from_above(splats, frame, grid, ceiling_over(views.frames, frame))
    heights = without_pits(tidied(shown.heights), PIT_SHARE * flying_height)
    told("maps", 1, 3)
    photos = Photos.over(splats, views.frames, views.image, frame.axes[2], views.mask)
    told("maps", 2, 3)
    colors = np.full((*heights.shape, 3), np.nan, np.float32)
    for rows, columns, part in grid.blocks():
        points = torch.from_numpy(frame.world(part.places(heights[rows, columns])))
        wanted = torch.from_numpy(np.isfinite(heights[rows, columns]))
        painted = photos.on(points, wanted)
        heights[rows, columns][painted.views < min(options.least_views, len(views))] = np.nan
        colors[rows, columns] = painted.colors if options.by_photos else shown.colors[rows, columns]
    unseen = np.isfinite(heights) & ~np.isfinite(colors).all(axis=2)
    colors[unseen] = shown.colors[unseen]
    colors[~np.isfinite(heights)] = np.nan
    told("maps", 3, 3)
    known = heights[np.isfinite(heights)]
    over = float(np.quantile(known, _HIGH) - eyes[:, 2].min()) if len(known) else -np.inf
    return Map(grid, heights, colors, flying_height, over)


def extent_of(
    splats: Gaussians, frames: Sequence[Frame], frame: MapFrame
) -> tuple[Floats, Floats, float]:
    """Where what photos show lies: its least and largest x, y, z of the map, and the height above.

    Splats that are faint, lie apart, or in no photo's picture do not count.
    """
    means = splats.means[splats.opacities > _OPAQUE].double().numpy(force=True)
    means = means if len(means) else splats.means.double().numpy(force=True)
    places = frame.mapped(means)
    eyes = frame.mapped(_eyes(frames))
    held = views_holding(means, frames) >= min(2, len(frames))
    held &= places[:, 2] < np.median(eyes[:, 2])
    places = places[held] if held.any() else places
    low, high = np.quantile(places, [_EDGE, 1 - _EDGE], axis=0)
    above = np.maximum(eyes[:, 2] - np.median(places[:, 2]), 1e-9)
    return low, high, float(np.median(above))


def ceiling_over(frames: Sequence[Frame], frame: MapFrame) -> float:
    """The height of the highest camera, in the map without its offset: none looks up from it."""
    return float(frame.mapped(_eyes(frames))[:, 2].max())


def views_holding(points: Floats, frames: Sequence[Frame]) -> NDArray[np.int64]:
    """How many photos have each point [N, 3], world units, in their picture."""
    views = np.zeros(len(points), np.int64)
    for frame in frames:
        lens = frame.intrinsics
        x, y, z = ((points - frame.world_from_cam[:3, 3]) @ frame.world_from_cam[:3, :3]).T
        u = lens.fl_x * x / np.maximum(z, 1e-9) + lens.cx
        v = lens.fl_y * y / np.maximum(z, 1e-9) + lens.cy
        views += (z > 0) & (u > 0) & (u < lens.width) & (v > 0) & (v < lens.height)
    return views


def _eyes(frames: Sequence[Frame]) -> Floats:
    return np.stack([frame.world_from_cam[:3, 3] for frame in frames])
