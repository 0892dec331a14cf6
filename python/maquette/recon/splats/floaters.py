"""Gaussians that hang in free space: cameras see past them, and little else is near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.projection import NEAREST
from maquette.recon.splats.rasteriser import render
from maquette.scene.transforms import Frame

_MOST_VIEWS, _LONG_SIDE_PX = 40, 240
_LEAST_VIEWS = 2
_NEIGHBOURS, _SPARSE = 8, 3.0  # the eighth neighbour so many times as far as it usually is


def is_floating(
    gaussians: Gaussians, whole: Gaussians, frames: Sequence[Frame], share: float, margin: float
) -> NDArray[np.bool_]:
    """Which Gaussians, [N], hang in space that nearly all cameras look through.

    Of the cameras that could see it, `share` must see what is farther than it by `margin`, and
    the Gaussian must have few neighbours: grass and gloss are transparent too, but dense.

    Args:
        whole: All that cameras see, surroundings included.
        margin: World units.
    """
    is_lonely = _is_lonely(gaussians)
    asked = np.flatnonzero(is_lonely)
    free, seen = np.zeros((2, len(asked)), np.int64)
    means = gaussians.means[torch.from_numpy(asked)]
    chosen = np.linspace(0, len(frames) - 1, min(_MOST_VIEWS, len(frames))).round().astype(int)
    for frame in [frames[index] for index in chosen] if len(asked) else []:
        camera = _small(frame)
        rows, depths, shown = _depths(means, whole, camera)
        free[rows] += depths + margin < shown
        seen[rows] += depths - margin <= shown
    floating = is_lonely.copy()
    floating[asked] = (seen >= _LEAST_VIEWS) & (free >= share * seen)
    return floating


def _is_lonely(gaussians: Gaussians) -> NDArray[np.bool_]:
    if len(gaussians) <= _NEIGHBOURS:
        return np.zeros(len(gaussians), bool)
    means = gaussians.means.double().numpy()
    distances = cKDTree(means).query(means, k=_NEIGHBOURS + 1)[0][:, -1]
    found: NDArray[np.bool_] = distances > _SPARSE * np.median(distances)
    return found


def _small(frame: Frame) -> Camera:
    camera = Camera.of(frame, torch.device("cpu"))
    factor = min(1.0, _LONG_SIDE_PX / max(camera.width, camera.height))
    width, height = (max(1, round(side * factor)) for side in (camera.width, camera.height))
    return camera.scaled(width, height)


@torch.no_grad()
def _depths(
    means: Tensor, whole: Gaussians, camera: Camera
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Numbers of the means in the picture, their depths, and the depths that it shows there.

    Disparities are blended: a mean of depths would follow what little shines through from afar.
    """
    z = (whole.means @ camera.rotation[2] + camera.translation[2]).clamp(min=NEAREST)
    flat = ((1.0 / z - 0.5) / SH_C0)[:, None, None].expand(-1, 1, 3).contiguous()
    disparity = render(replace(whole, sh=flat), camera).color[0]
    local = means @ camera.rotation.T + camera.translation
    depth = local[:, 2]
    (fx, fy), (cx, cy) = camera.focal, camera.principal
    column = torch.floor(fx * local[:, 0] / depth + cx)
    row = torch.floor(fy * local[:, 1] / depth + cy)
    inside = (depth > NEAREST) & (column >= 0) & (column < camera.width)
    inside &= (row >= 0) & (row < camera.height)
    shown = 1.0 / disparity[row[inside].long(), column[inside].long()].clamp(min=1e-6)
    return torch.nonzero(inside)[:, 0].numpy(), depth[inside].numpy(), shown.numpy()
