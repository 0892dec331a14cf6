"""How much each Gaussian counts, and how the least of them are left out."""

from __future__ import annotations

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians


def importance(gaussians: Gaussians) -> Tensor:
    """Opacity times the area of the two longer axes, [N]: what it covers where it is seen best.

    Flat Gaussians lie on surfaces, so their volume, which other programs use, would rank the best
    fitted ones last.
    """
    longer = gaussians.log_scales.sort(dim=1).values[:, 1:]
    return gaussians.opacities * longer.sum(dim=1).exp()


def by_importance(gaussians: Gaussians) -> Gaussians:
    """All of them, the most important first, so that a part from the front is a preview."""
    return gaussians.chosen(importance(gaussians).argsort(descending=True, stable=True))


def pruned(gaussians: Gaussians, ratio: float) -> Gaussians:
    """Without the given share, 0..1, of the least important ones; the order stays."""
    kept = len(gaussians) - round(ratio * len(gaussians))
    best = importance(gaussians).argsort(descending=True, stable=True)[:kept]
    return gaussians.chosen(torch.sort(best).values)
