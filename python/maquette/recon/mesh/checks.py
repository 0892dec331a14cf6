"""Marching cubes by Warp beside scikit-image's: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from maquette.recon.kernel_checks import Case
from maquette.recon.mesh.marching import march_with_warp

_SIDES = (9, 65, 257)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """A ball's vertices, as their sorted distances from a point beside it."""
    for side in _SIDES[:-1] if quick else _SIDES:
        ball = _ball(side)
        fast, slow = partial(_by_warp, ball, str(device)), partial(_by_skimage, ball)
        yield Case("marching cubes", f"{side}³ points", fast, slow, 1e-4, ball.nbytes)


def make_kernels() -> Iterator[str]:
    """Use Warp's kernels once."""
    march_with_warp(_ball(5), "cpu")
    yield "marching cubes"


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
