"""From splats and photos to a map: where it lies, its heights, and its colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.aerial.elevation import Heights, tidied
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.aerial.seen_from_above import seen_from_above
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.views.views import Views

Told = Callable[[str, int, int], None]
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
    opaque = splats.means[splats.opacities > _OPAQUE].numpy(force=True)
    places = frame.mapped(opaque if len(opaque) else splats.means.numpy(force=True))
    eyes = frame.mapped(np.stack([view.world_from_cam[:3, 3] for view in views.frames]))
    above = np.maximum(eyes[:, 2] - np.median(places[:, 2]), 1e-9)
    focal = np.array([view.intrinsics.fl_x for view in views.frames])
    size = options.size or float(np.median(above / focal))
    low, high = np.quantile(places, [_EDGE, 1 - _EDGE], axis=0)
    grid = Grid.around(low, high, size, options.most_px, frame.offset)
    told("maps", 0, 3)
    shown = seen_from_above(splats, frame, grid)
    heights = tidied(shown.heights)
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
    return Map(grid, heights, colors, float(np.median(above)), over)
