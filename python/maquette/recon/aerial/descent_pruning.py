"""What close views show at once and photos from above hardly: splats that are no surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians

_WHITE = 0.92  # of every channel
_BLOB = 3.0  # times the usual size


@dataclass(frozen=True)
class Pruning:
    """What goes between two levels.

    Attributes:
        min_opacity: Fainter ones.
        max_elongation: Those whose longest axis is so many times the second; 0: none.
        largest: This share of the largest.
    """

    min_opacity: float = 0.05
    max_elongation: float = 15.0
    largest: float = 0.05


def is_kept(splats: Gaussians, near: Tensor, rules: Pruning) -> Tensor:
    """Which Gaussians stay [N]; only those that are `near` [N] can go.

    A white blob, far larger than others and nearly white, goes whatever the rules.
    """
    axes = splats.scales.sort(dim=1).values  # [N, 3]
    size = axes[:, 2]
    known = size[near]
    if not len(known):
        return torch.ones(len(splats), dtype=torch.bool, device=splats.device)
    goes = splats.opacities < rules.min_opacity
    if rules.max_elongation:
        goes |= size > rules.max_elongation * axes[:, 1].clamp_min(1e-12)
    if rules.largest:
        count = len(known)
        kept = max(1, round(count * (1 - rules.largest)))
        goes |= size > known.sort().values[kept - 1]
    is_white = (splats.base_colors > _WHITE).all(dim=1)
    goes |= is_white & (size > _BLOB * known.median())
    return ~(goes & near)
