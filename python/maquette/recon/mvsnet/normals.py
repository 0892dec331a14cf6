"""Normals of a surface from its depth map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from maquette.scene.transforms import Intrinsics

Floats = NDArray[np.float32]
_WINDOW = 5  # pixels along a side over which normals are averaged


def normals_of(depth: Floats, lens: Intrinsics) -> Floats:
    """Unit normals towards the camera, camera axes; 0 where there is no depth.

    Along each axis a pixel's tangent goes to the neighbour whose depth is nearer to its own, so
    that an edge of depth tilts no normal; then normals are averaged in a window.

    Args:
        depth: [H, W] along +z, 0 = none.
        lens: Of the map's size.
    Returns:
        [H, W, 3] float32.
    """
    height, width = depth.shape
    y, x = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    points = rays * depth[..., None].astype(np.float64)
    known = depth > 0
    across, along = _tangent(points, known, 1), _tangent(points, known, 0)
    normals = _unit(np.cross(along, across))
    normals *= -np.sign((normals * rays).sum(-1, keepdims=True))
    smooth = np.stack([uniform_filter(normals[..., c], _WINDOW) for c in range(3)], -1)
    facing = np.where((smooth * rays).sum(-1, keepdims=True) < 0, smooth, -rays)
    return np.asarray(_unit(facing) * known[..., None], np.float32)


def _tangent(
    points: NDArray[np.floating], known: NDArray[np.bool_], axis: int
) -> NDArray[np.floating]:
    """The difference [H, W, 3] to the next or from the last pixel, whichever steps less in z."""
    step = np.diff(points, axis=axis)
    both = np.logical_and(*(np.delete(known, end, axis) for end in (0, -1)))
    step[~both] = np.inf
    rim = [(0, 0)] * 3
    ahead, behind = list(rim), list(rim)
    ahead[axis], behind[axis] = (0, 1), (1, 0)
    after = np.pad(step, ahead, constant_values=np.inf)
    before = np.pad(step, behind, constant_values=np.inf)
    nearer = np.abs(after[..., 2:]) <= np.abs(before[..., 2:])
    chosen = np.where(nearer, after, before)
    return np.where(np.isfinite(chosen), chosen, 0.0)


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
