"""The Gaussians that training begins with: from dense points, sparse ones, or random ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from maquette.recon.geometry.points import read_points
from maquette.recon.mvs.fused_files import found_points
from maquette.recon.splats.gaussians import SH_C0, Gaussians, logit
from maquette.scene import colmap_model
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_LEAST_POINTS = 100
_NEIGHBOURS = 3
_OPACITY = 0.5  # of points: they are where something is
_DENSE_SHARE = 0.3  # of the cap that dense points may take: the rest grows where pictures are wrong
_RANDOM = 10_000
_SHELL, _SHELL_SHARE = 2_000, 0.1  # Gaussians at most, and of the cap
_SHELL_RADIUS = 30.0  # times the extent: so far away that no photograph tells how far
_GREY = (128, 128, 128)


@dataclass(frozen=True)
class First:
    """Coloured points, world units, and what they are.

    Attributes:
        points: [N, 3] float64; `colors` [N, 3] uint8.
        source: `dense`, `sparse` or `random`.
    """

    points: NDArray[np.float64]
    colors: NDArray[np.uint8]
    source: str


def choose(
    scene: Scene, group: str, frames: Sequence[Frame], region: Region, cap: int, seed: int
) -> First:
    """The best points that a scene has.

    Dense points are thinned evenly; sparse ones beyond them are kept too, since depth maps end
    where photographs no longer overlap enough.

    Raises:
        BadInput: a file of points is damaged.
    """
    sparse = _sparse(scene)
    path = found_points(scene, group)
    if path is not None:
        cloud = read_points(path)
        colors = cloud.colors
        if colors is None:
            colors = np.full((len(cloud.points), 3), _GREY, np.uint8)
        kept = thinned(cloud.points, max(_LEAST_POINTS, int(_DENSE_SHARE * cap)), seed)
        points, colors = cloud.points[kept], colors[kept]
        if sparse is not None:
            points, colors = _with_lonely(points, colors, sparse)
        return First(points, colors, "dense")
    if sparse is not None:
        return sparse
    draw = np.random.default_rng(seed)
    away = draw.normal(size=(min(_RANDOM, cap), 3))
    away *= (draw.random(len(away)) ** (1 / 3) / np.linalg.norm(away, axis=1))[:, None]
    return First(region.world_from_unit(away), np.full((len(away), 3), _GREY, np.uint8), "random")


def _sparse(scene: Scene) -> First | None:
    if not (scene.sparse / "points3D.bin").is_file():
        return None
    model = colmap_model.read(scene.sparse)
    if len(model.points) < _LEAST_POINTS:
        return None
    return First(model.points, model.colors, "sparse")


def thinned(points: NDArray[np.float64], most: int, seed: int) -> NDArray[np.int64]:
    """Numbers of at most `most` points, evenly spread: one a cell of a lattice that just fits."""
    if len(points) <= most:
        return np.arange(len(points))
    order = np.random.default_rng(seed).permutation(len(points))[: _PER_POINT * most]
    low = points.min(0)
    span = np.quantile(points, 0.9, axis=0) - np.quantile(points, 0.1, axis=0)
    cell = float(np.linalg.norm(span)) / math.sqrt(most)
    small, large, best = cell / 64, cell * 64, order[:most]
    for _ in range(12):
        cell = math.sqrt(small * large)
        found = order[np.unique(np.floor((points[order] - low) / cell).astype(np.int64) @ _HASH,
                                return_index=True)[1]]  # fmt: skip
        if len(found) > most:
            small = cell
        else:
            large, best = cell, found
    return np.sort(best)


_PER_POINT = 8  # so many points are looked at for each that is wanted
_HASH = np.array([73856093, 19349663, 83492791], np.int64)  # of a cell of the lattice


def _with_lonely(
    points: NDArray[np.float64], colors: NDArray[np.uint8], sparse: First
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Add the sparse points that lie apart from the others."""
    tree = cKDTree(points)
    gap = 3.0 * np.median(tree.query(points, k=2)[0][:, 1])
    lonely = tree.query(sparse.points)[0] > gap
    return (
        np.concatenate([points, sparse.points[lonely]]),
        np.concatenate([colors, sparse.colors[lonely]]),
    )


def gaussians_at(points: NDArray[np.float64], colors: NDArray[np.uint8], scale: float) -> Gaussians:
    """One round Gaussian a point.

    Args:
        scale: Standard deviation as a factor of the mean distance to the three nearest others.
    """
    count = len(points)
    neighbours = min(_NEIGHBOURS, count - 1)
    if neighbours:
        away = cKDTree(points).query(points, k=neighbours + 1)[0][:, 1:].mean(1)
        away = np.clip(away, 1e-7, 5.0 * np.median(away) + 1e-7)
    else:
        away = np.ones(count)
    quaternions = torch.zeros(count, 4)
    quaternions[:, 0] = 1.0
    shade = torch.from_numpy(colors.astype(np.float32)) / 255.0
    return Gaussians(
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(np.log(scale * away).astype(np.float32))[:, None].repeat(1, 3),
        quaternions, torch.full((count,), logit(_OPACITY)), ((shade - 0.5) / SH_C0)[:, None, :],
    )  # fmt: skip


def shell_size(cap: int) -> int:
    """How many far Gaussians there are when there may be `cap` in all."""
    return min(_SHELL, max(1, int(_SHELL_SHARE * cap)))


def shell(center: Tensor, extent: float, color: Tensor, count: int) -> Gaussians:
    """Far Gaussians all around, so that the sky need not hang before the cameras.

    Args:
        center, extent: [3] middle of the cameras, and how far they stand from it; world units.
        color: [3] sRGB of all of them at first.
    """
    turn = math.pi * (3.0 - math.sqrt(5.0))  # the golden angle spreads points evenly
    number = torch.arange(count, dtype=torch.float64)
    z = 1.0 - (2.0 * number + 1.0) / count
    flat = (1.0 - z * z).sqrt()
    away = torch.stack([flat * (turn * number).cos(), flat * (turn * number).sin(), z], dim=1)
    radius = _SHELL_RADIUS * extent
    size = 1.2 * radius * math.sqrt(4.0 / count)
    quaternions = torch.zeros(count, 4)
    quaternions[:, 0] = 1.0
    return Gaussians(
        (center.double().cpu() + radius * away).float(),
        torch.full((count, 3), math.log(size)), quaternions,
        torch.full((count,), logit(0.9)),
        ((color.cpu() - 0.5) / SH_C0).repeat(count, 1)[:, None, :],
    )  # fmt: skip
