"""Where photographs show that there is nothing: before what they see, and between it and the sky.

Depth maps tell how far one sees. Where they tell nothing, a smooth part of a picture above the
horizon that reaches the picture's edge is taken for sky. A place that some views see through and
none sees something before is free: space carving (Kutulakos and Seitz, IJCV 2000) of depths.
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
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_SMOOTH, _WINDOW = 2.0, 9  # grey levels by which sky differs in a window of so many pixels
_LEAST_SKY = 0.02  # of a picture
_CUT = 3  # pixels of its rim that may show something else


def free_places(
    frames: Sequence[Frame],
    views: Sequence[int],
    depth_of: Callable[[int], Floats],
    sky_in: Callable[[int], Bools],
    region: Region,
) -> NDArray[np.float32]:
    """Random places of a region's sphere that are free, [N, 3] world frame.

    Args:
        frames: Cameras of the maps' sizes.
        views: Those that have a map.
        depth_of, sky_in: By view, [H, W]: depths, 0 where there is none; which pixels show sky.
    """
    draw = np.random.default_rng(0)
    away = draw.normal(size=(_DRAWN, 3))
    away *= (draw.random(_DRAWN) ** (1 / 3) / np.linalg.norm(away, axis=1))[:, None]
    places = region.world_from_unit(away)
    through, hidden = np.zeros(_DRAWN, np.int32), np.zeros(_DRAWN, np.bool_)
    for view in views:
        depth = depth_of(view)
        far, rows, columns = _looked_at(places, frames[view])
        known = np.where(depth > 0, depth, np.inf)
        nearest = ndimage.minimum_filter(known, _RIM)[rows, columns]
        through += sky_in(view)[rows, columns] & (far > 0)
        through += np.isfinite(nearest) & (far > 0) & (far < _NEAR * nearest)
        hidden |= far > _FAR * known[rows, columns]
    found: NDArray[np.float32] = places[(through >= _LEAST_VIEWS) & ~hidden].astype(np.float32)
    return found


def sky_of(picture: NDArray[np.uint8], depth: Floats, frame: Frame, up: Floats) -> Bools:
    """Which pixels [H, W] of a picture [H, W, 3] show sky, as far as that is sure.

    Args:
        up: [3] world frame.
    """
    grey = ndimage.gaussian_filter(picture.astype(np.float32) @ _LUMA, 1.0)
    mean = ndimage.uniform_filter(grey, _WINDOW)
    variance = ndimage.uniform_filter(grey * grey, _WINDOW) - mean * mean
    is_flat = (variance < _SMOOTH**2) & (depth <= 0) & _is_above(frame, up)
    number, count = ndimage.label(is_flat)
    is_sky = np.bincount(number.ravel(), minlength=count + 1) >= _LEAST_SKY * number.size
    edges = np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]])
    is_sky &= np.bincount(edges, minlength=count + 1) > 0
    is_sky[0] = False
    found: Bools = ndimage.binary_erosion(is_sky[number], iterations=_CUT, border_value=1)
    return found


def _is_above(frame: Frame, up: Floats) -> Bools:
    """Which pixels [H, W] look above the horizon."""
    lens = frame.intrinsics
    across = (np.arange(lens.width) + 0.5 - lens.cx) / lens.fl_x
    down = (np.arange(lens.height) + 0.5 - lens.cy) / lens.fl_y
    right, below, ahead = up @ frame.world_from_cam[:3, :3]
    found: Bools = right * across[None] + below * down[:, None] + ahead > 0
    return found


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
