"""Planes through well-matched pixels, for those between that say little; symbols as in `stacks.py`.

Source: Q. Xu and W. Tao, "Planar Prior Assisted PatchMatch Multi-View Stereo" (ACMP), AAAI 2020,
section 3.2. Differs: triangles across a large step of depth give no prior, and pixels that match
well by themselves take none, which would only pull them off.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import Delaunay, QhullError
from torch import Tensor

from maquette.recon.mvs.stacks import Stack
from maquette.recon.mvs.sweeping import State

Whole = NDArray[np.intp]
_BLOCK_PX, _CREDIBLE_COST = 5, 0.1  # of each block its best pixel, when it costs no more
_ENOUGH_COST = 0.25  # a pixel that matches as well needs no prior
_MOST_STEP = 1.2  # ratio of depths in a triangle


def planar_prior(state: State, stack: Stack) -> Tensor:
    """For each pixel the plane of its triangle of well-matched pixels, [H, W, 3]; 0 where none."""
    planes, rays = (part.cpu().numpy() for part in (state.planes, stack.rays()))
    used = stack.used[: planes.shape[0] * planes.shape[1]].cpu().numpy().reshape(planes.shape[:2])
    costs = np.where(used, state.costs.cpu().numpy(), np.inf)
    found = np.zeros_like(planes)
    y, x = _credible(costs)
    triangles = _triangles(x, y)
    if len(triangles):
        corners = rays[y, x] / (planes[y, x] * rays[y, x]).sum(1, keepdims=True)  # [P, 3]
        of_triangle = _through(corners[triangles])
        number = _covering(np.stack([x, y], 1)[triangles], *stack.size)
        found = np.where(number[..., None] >= 0, of_triangle[number], 0)
        found[(costs <= _ENOUGH_COST) | ~_faces(found, rays)] = 0
    return torch.from_numpy(found).to(state.planes.device)


def _triangles(x: Whole, y: Whole) -> Whole:
    """Delaunay's triangles [T, 3] of pixels; none where they lie in a line."""
    if len(x) < 3:
        return np.zeros((0, 3), np.intp)
    try:
        return np.asarray(Delaunay(np.stack([x, y], 1)).simplices, np.intp)
    except QhullError:
        return np.zeros((0, 3), np.intp)


def _covering(corners: Whole, height: int, width: int) -> NDArray[np.int32]:
    """Which of some triangles [T, 3, 2] (x, y) covers each pixel, [H, W]; −1 where none does."""
    picture = Image.new("I", (width, height), -1)
    draw = ImageDraw.Draw(picture)
    for number, triangle in enumerate(corners.tolist()):
        draw.polygon([tuple(corner) for corner in triangle], fill=number)
    return np.asarray(picture, np.int32)


def _credible(costs: NDArray[np.float32]) -> tuple[Whole, Whole]:
    """Rows and columns of the best pixel of each block, where it is good."""
    height, width = (size // _BLOCK_PX * _BLOCK_PX for size in costs.shape)
    rows = costs[:height, :width].reshape(height // _BLOCK_PX, _BLOCK_PX, -1, _BLOCK_PX)
    blocks = rows.transpose(0, 2, 1, 3).reshape(height // _BLOCK_PX, -1, _BLOCK_PX**2)
    best = blocks.argmin(2)
    row, column = np.nonzero(blocks.min(2) <= _CREDIBLE_COST)
    inside = best[row, column]
    return row * _BLOCK_PX + inside // _BLOCK_PX, column * _BLOCK_PX + inside % _BLOCK_PX


def _through(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes ν [T, 3] through three points each, [T, 3, 3]; 0 where they span a step of depth."""
    depth = corners[..., 2]
    flat = depth.max(1) <= _MOST_STEP * depth.min(1)
    flat &= np.abs(np.linalg.det(corners)) > 1e-9 * np.abs(depth).max() ** 3
    planes = np.zeros((len(corners), 3), np.float32)
    planes[flat] = np.linalg.solve(corners[flat].astype(np.float64), np.ones((flat.sum(), 3, 1)))[
        ..., 0
    ]
    return planes


def _faces(planes: NDArray[np.float32], rays: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which planes [H, W, 3] are seen from their front, and not at a glance."""
    toward = (planes * rays).sum(-1)
    return np.asarray(toward > 0.1 * np.linalg.norm(planes, axis=-1))
