"""Meshing by Warp beside its twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from maquette.recon.kernel_checks import Case
from maquette.recon.mesh.integration import DepthView, Truncation, Volume, integrate
from maquette.recon.mesh.marching import march_with_warp

_SIDES = (9, 65, 257)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """A ball's vertices, as their sorted distances from a point beside it; a map of a plane."""
    for side in _SIDES[:-1] if quick else _SIDES:
        ball = _ball(side)
        fast, slow = partial(_by_warp, ball, str(device)), partial(_by_skimage, ball)
        yield Case("marching cubes", f"{side}³ points", fast, slow, 1e-4, ball.nbytes)
    for side in (24,) if quick else (24, 96):
        fast, slow = (partial(_integrated, side, fast) for fast in (True, False))
        yield Case("TSDF", f"{side}³ voxels", fast, slow, 1e-4, 24 * side**3)


def make_kernels() -> Iterator[str]:
    """Use Warp's kernels once."""
    march_with_warp(_ball(5), "cpu")
    yield "marching cubes"
    _integrated(2, fast=True)
    yield "TSDF"


def _ball(side: int) -> NDArray[np.float32]:
    axis = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.asarray((np.sqrt(x * x + y * y + z * z) - 0.613) * side, np.float32)


def _by_warp(ball: NDArray[np.float32], device: str) -> torch.Tensor:
    return _distances(march_with_warp(ball, device)[0])


def _by_skimage(ball: NDArray[np.float32]) -> torch.Tensor:
    return _distances(marching_cubes(ball, 0.0, gradient_direction="descent")[0])


def _distances(vertices: NDArray[np.float32]) -> torch.Tensor:
    away = np.linalg.norm(vertices - np.array([-0.7, -0.4, -0.2], np.float32), axis=1)
    return torch.from_numpy(np.sort(away))


def _integrated(side: int, fast: bool) -> torch.Tensor:
    """The sums over voxels that lie before, on and behind a plane which is seen at an angle."""
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    shape = (97, 131)
    lens = np.array([150.0, 150.0, 65.5, 48.5], np.float32)
    normal = np.array([0.2, -0.3, -1.0], np.float32) / np.float32(1.13**0.5)
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    ray = np.stack([(x - lens[2]) / lens[0], (y - lens[3]) / lens[1], np.ones(shape)], -1)
    depth = (3.0 * normal[2] / (ray @ normal)).astype(np.float32)
    pose = np.eye(4, dtype=np.float32)[:3]
    normals = np.full((*shape, 3), normal, np.float32)
    view = DepthView(pose, lens, depth, normals)
    low, spacing = np.array([-0.5, -0.5, 2.5], np.float32), np.full(3, 1 / side, np.float32)
    parts = np.zeros((3, len(places)), np.float32)
    volume = Volume(low, spacing, places.astype(np.int32), *parts)
    integrate(volume, view, Truncation(0.2, 0.1, 0.2), fast)
    return torch.from_numpy(parts)
