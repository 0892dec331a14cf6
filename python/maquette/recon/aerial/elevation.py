"""A digital surface model: the heights of a map without gaps and specks, its shade and contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from maquette.recon.aerial.grids import Grid

Heights = NDArray[np.float32]
Floats = NDArray[np.float64]
_GAP_PX = 8  # from its edge a gap is filled; a larger one keeps its middle
_HOLE_SHARE = 0.05  # of the longer side: what heights enclose is filled so far from its edge
_PIT_PX, _PIT_STEP = 25, 3
_STEPS = (1.0, 2.0, 5.0)
_LEVELS = 12  # of contours, about
_SMOOTH_PX, _SMOOTH_SHARE = 2.0, 0.004  # of the longer side
_LEAST_LINE_PX = 40


def tidied(heights: Heights) -> Heights:
    """Heights [H, W] without single specks, and with gaps (NaN) filled from their edges.

    Gaps that heights enclose are filled farther than those that are open to the outside.
    """
    is_gap = np.isnan(heights)
    if is_gap.all():
        return heights
    away, nearest = ndimage.distance_transform_edt(is_gap, return_indices=True)
    filled: Heights = ndimage.median_filter(heights[tuple(nearest)], size=3, mode="nearest")
    wide = ndimage.gaussian_filter(filled, max(_GAP_PX, float(away.max()) / 4))
    inside = np.clip(away / _GAP_PX - 1, 0, 1).astype(np.float32)  # soft from its edge on
    filled += inside * (wide - filled)
    is_open = is_gap & ~ndimage.binary_fill_holes(~is_gap)
    filled[is_open & (away > _GAP_PX)] = np.nan
    filled[away > max(_GAP_PX, _HOLE_SHARE * max(heights.shape))] = np.nan
    return filled


def without_pits(heights: Heights, deepest: float) -> Heights:
    """Heights without narrow pits: where light passes between splats of the ground to lower ones.

    What lies more than `deepest` below the median of 25 × 25 pixels becomes that; a street
    between houses is wider than a pit, what rises is not touched.
    """
    is_gap = np.isnan(heights)
    if is_gap.all() or min(heights.shape) < _PIT_PX:
        return heights
    nearest = ndimage.distance_transform_edt(is_gap, return_distances=False, return_indices=True)
    coarse = heights[tuple(nearest)][::_PIT_STEP, ::_PIT_STEP]
    usual = ndimage.median_filter(coarse, size=_PIT_PX // _PIT_STEP + 1, mode="nearest")
    rows, columns = (np.arange(count) / _PIT_STEP for count in heights.shape)
    places = np.meshgrid(rows, columns, indexing="ij")
    around = ndimage.map_coordinates(usual, places, order=1, mode="nearest")
    found: Heights = np.where(heights < around - deepest, around, heights)
    return found


def hillshade(heights: Heights, size: float) -> NDArray[np.float64]:
    """How light falls on heights [H, W] of pixels of a size, 0..1, from the north-west at 45°."""
    filled = np.where(np.isnan(heights), np.nanmedian(heights), heights)
    south, east = np.gradient(ndimage.gaussian_filter(filled.astype(np.float64), 1.0), size)
    light = (1 + (east + south) / np.sqrt(2)) / np.sqrt(2 * (1 + east**2 + south**2))
    return np.clip(light, 0, 1)


@dataclass(frozen=True)
class Contour:
    """A line of one height: places (x, y) of the map without its offset, [N, 2]."""

    height: float
    line: Floats


def interval_for(heights: Heights) -> float:
    """A round distance of heights that gives about a dozen contours."""
    known = heights[np.isfinite(heights)]
    low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (0.0, 1.0)
    wanted = max(float(high - low), 1e-6) / _LEVELS
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(next((s * power for s in _STEPS if s * power >= wanted), 10 * power))


def contours(heights: Heights, grid: Grid, interval: float, offset: float) -> Sequence[Contour]:
    """The lines at whole multiples of an interval, of heights that count from `offset`."""
    is_there = np.isfinite(heights)
    if not is_there.any():
        return []
    sigma = max(_SMOOTH_PX, _SMOOTH_SHARE * max(heights.shape))
    weight = ndimage.gaussian_filter(is_there.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(is_there, heights, 0), sigma)
    smooth = smooth / np.maximum(weight, 1e-6)
    x, y = grid.centers()
    found = []
    low, high = float(smooth[is_there].min()) + offset, float(smooth[is_there].max()) + offset
    for step in range(int(np.ceil(low / interval)), int(np.floor(high / interval)) + 1):
        height = step * interval
        for line in find_contours(smooth, height - offset, mask=is_there):
            if len(line) >= _LEAST_LINE_PX:
                row, column = approximate_polygon(line, 0.5).T
                places = [np.interp(column, np.arange(len(x)), x),
                          np.interp(row, np.arange(len(y)), y)]  # fmt: skip
                found.append(Contour(height, np.stack(places, axis=1)))
    return found
