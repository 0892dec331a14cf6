"""What of a trained scene is no part of it: left out by rules, each of which is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.splats.floaters import is_floating
from maquette.recon.splats.gaussians import Gaussians
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Mask = NDArray[np.bool_]
_NEIGHBOURS = 4
_SHORT = 0.01  # of the region's radius: no needle of this length is seen as a spike
_FREE = 0.05  # of the region's radius: how far behind a splat cameras must see, to see past it


@dataclass(frozen=True)
class CleaningOptions:
    """What stays.

    Attributes:
        crop: Only what lies in the region.
        min_opacity: At least this opaque.
        max_size: No standard deviation above this share of the region's radius, or of the distance
            from its centre for what lies outside; 0: any.
        max_elongation: The longest axis at most so many times the second; 0: any. A flat Gaussian
            is a piece of surface, one that is long in a single axis is a spike.
        max_isolation: The fourth nearest neighbour at most so many times as far as it usually is;
            0: any. One that is larger than that distance itself is not isolated.
        min_views: In the pictures of so many cameras, whether hidden there or not.
        free_share: Fewer than this share of the cameras that could see it see past it, where its
            neighbours are few; 0: any.
    """

    crop: bool = True
    min_opacity: float = 0.02
    max_size: float = 0.5
    max_elongation: float = 25.0
    max_isolation: float = 10.0
    min_views: int = 2
    free_share: float = 0.9


@dataclass(frozen=True)
class Cleaned:
    """What stayed, and how many each rule dropped."""

    gaussians: Gaussians
    dropped: dict[str, int] = field(default_factory=dict)


def clean(
    gaussians: Gaussians, region: Region, frames: Sequence[Frame], options: CleaningOptions
) -> Cleaned:
    """Apply the rules one after the other; each sees what the ones before it left.

    Args:
        gaussians: In the world of region and frames.
    """
    rules: dict[str, Callable[[Gaussians], Mask]] = {
        "not_finite": _is_finite,
        "outside": lambda left: _is_inside(left, region, options.crop),
        "faint": lambda left: left.opacities.numpy() >= options.min_opacity,
        "huge": lambda left: _is_small(left, region, options.max_size),
        "needles": lambda left: _is_round(left, options.max_elongation, _SHORT * region.radius),
        "seen_by_few": lambda left: _is_seen(left, frames, min(options.min_views, len(frames))),
        "isolated": lambda left: _has_neighbours(left, options.max_isolation),
        "floating": lambda left: _is_held(left, whole, frames, region, options.free_share),
    }
    left, dropped = gaussians.detached().to("cpu"), {}
    whole = left.chosen(torch.from_numpy(_is_finite(left)))
    for name, rule in rules.items():
        kept = rule(left)
        dropped[name] = int(len(left) - kept.sum())
        if dropped[name]:
            left = left.chosen(torch.from_numpy(kept))
    return Cleaned(left, dropped)


def _is_finite(gaussians: Gaussians) -> Mask:
    kept = torch.ones(len(gaussians), dtype=torch.bool)
    for _, tensor in gaussians.tensors():
        kept &= tensor.reshape(len(gaussians), -1).isfinite().all(dim=1)
    kept &= gaussians.quaternions.norm(dim=1) > 0
    found: Mask = kept.numpy()
    return found


def _is_inside(gaussians: Gaussians, region: Region, crop: bool) -> Mask:
    return region.contains(gaussians.means.numpy()) if crop else np.ones(len(gaussians), bool)


def _is_small(gaussians: Gaussians, region: Region, share: float) -> Mask:
    largest = gaussians.log_scales.double().amax(dim=1).exp().numpy()
    away = np.linalg.norm(region.unit_from_world(gaussians.means.numpy()), axis=1)
    limit = share * region.radius * np.maximum(away, 1.0)
    found: Mask = largest <= limit if share else np.ones(len(gaussians), bool)
    return found


def _is_round(gaussians: Gaussians, elongation: float, short: float) -> Mask:
    axes = gaussians.scales.sort(dim=1).values.numpy()
    longest, second = axes[:, 2], axes[:, 1]
    found: Mask = (longest <= (elongation or np.inf) * second) | (longest <= short)
    return found


def _is_seen(gaussians: Gaussians, frames: Sequence[Frame], enough: int) -> Mask:
    """Whether the centre lies in the pictures of `enough` cameras."""
    means = gaussians.means.double().numpy()
    views = np.zeros(len(means), np.int32)
    for frame in frames:
        asked = np.flatnonzero(views < enough)
        if not len(asked):
            break
        views[asked] += _is_in_picture(means[asked], frame)
    found: Mask = views >= enough
    return found


def _is_in_picture(points: NDArray[np.float64], frame: Frame) -> Mask:
    rotation, center = frame.world_from_cam[:3, :3], frame.world_from_cam[:3, 3]
    x, y, z = ((points - center) @ rotation).T
    lens = frame.intrinsics
    u = lens.fl_x * x / np.maximum(z, 1e-12) + lens.cx
    v = lens.fl_y * y / np.maximum(z, 1e-12) + lens.cy
    found: Mask = (z > 0) & (u >= 0) & (u < lens.width) & (v >= 0) & (v < lens.height)
    return found


def _is_held(
    gaussians: Gaussians, whole: Gaussians, frames: Sequence[Frame], region: Region, share: float
) -> Mask:
    if not share:
        return np.ones(len(gaussians), bool)
    found: Mask = ~is_floating(gaussians, whole, frames, share, _FREE * region.radius)
    return found


def _has_neighbours(gaussians: Gaussians, isolation: float) -> Mask:
    if not isolation or len(gaussians) <= _NEIGHBOURS:
        return np.ones(len(gaussians), bool)
    means = gaussians.means.double().numpy()
    distances = cKDTree(means).query(means, k=_NEIGHBOURS + 1)[0][:, -1]
    own = gaussians.scales.amax(dim=1).numpy()
    found: Mask = distances <= isolation * np.maximum(np.median(distances), own)
    return found
