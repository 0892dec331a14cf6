"""Cameras as pyramids: the lines that a page draws, and which of them a click meets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.scene.region import FloatArray
from maquette.scene.transforms import Intrinsics

_FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [1, 2, 3], [1, 3, 4]])
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
_EDGE_ON = 1e-12  # of a ray that lies in a face's plane


def pyramids(
    world_from_cam: FloatArray, lenses: Sequence[Intrinsics], depth: float
) -> NDArray[np.float64]:
    """Corners of the cameras' pyramids: the camera, then its picture's corners, world units.

    Args:
        world_from_cam: [N, 4, 4].
        depth: How far in front of the camera the picture stands.
    Returns:
        [N, 5, 3].
    """
    edges = np.array(
        [
            [-lens.cx / lens.fl_x, (lens.width - lens.cx) / lens.fl_x,
             -lens.cy / lens.fl_y, (lens.height - lens.cy) / lens.fl_y]
            for lens in lenses
        ]
    )  # fmt: skip
    local = np.zeros((len(lenses), 5, 3))
    local[:, 1:, 0] = edges[:, [0, 1, 1, 0]]
    local[:, 1:, 1] = edges[:, [2, 2, 3, 3]]
    local[:, 1:, 2] = 1.0
    turned = np.einsum("nij,nkj->nki", world_from_cam[:, :3, :3], depth * local)
    return np.asarray(turned + world_from_cam[:, None, :3, 3])


def edges(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight edges of each pyramid [N, 5, 3] as line segments [8 N, 2, 3]."""
    return corners[:, _EDGES].reshape(-1, 2, 3)


def first_met(corners: NDArray[np.float64], origin: ArrayLike, direction: ArrayLike) -> int | None:
    """Which pyramid [N, 5, 3] a ray meets first, or None.

    Source: Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997; all
    triangles at once.
    """
    start, along = np.asarray(origin, np.float64), np.asarray(direction, np.float64)
    a, b, c = np.moveaxis(corners[:, _FACES], 2, 0)  # [N, 6, 3] each
    across = np.cross(along, c - a)
    volume = np.einsum("nfi,nfi->nf", b - a, across)
    flat = np.abs(volume) < _EDGE_ON
    scale = 1 / np.where(flat, 1.0, volume)
    off = start - a
    turned = np.cross(off, b - a)
    u = scale * np.einsum("nfi,nfi->nf", off, across)
    v = scale * (turned @ along)
    away = scale * np.einsum("nfi,nfi->nf", c - a, turned)
    met = ~flat & (u >= 0) & (v >= 0) & (u + v <= 1) & (away > 0)
    if not met.any():
        return None
    return int(np.where(met, away, np.inf).min(axis=1).argmin())
