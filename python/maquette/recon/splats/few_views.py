"""What is done otherwise where few photographs train: splats must not learn each by heart."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians

_FEW, _ENOUGH = 16, 40  # photographs up to which all is done, and from which nothing
_DROPPED = 0.3
_LEAST, _MOST = 1e-6, 1.0 - 1e-6  # opacity


def need(views: int) -> float:
    """How much a run of so many training photographs needs it, 0..1."""
    return min(1.0, max(0.0, (_ENOUGH - views) / (_ENOUGH - _FEW)))


def dropped_share(views: int, share: float) -> float:
    """Share of the Gaussians that a step leaves out, when `share` of the run is done."""
    return _DROPPED * need(views) * share


def kept_rows(count: int, dropped: float, generator: torch.Generator) -> Tensor | None:
    """Which of so many Gaussians a step shows, [count] bool, or None for all.

    Args:
        dropped: The share of the others, 0..1; no random number is drawn for 0.
    """
    if dropped <= 0.0:
        return None
    drawn = torch.rand(count, generator=generator, device=generator.device)
    return drawn >= dropped


def thinned_out(splats: Gaussians, kept: Tensor | None, dropped: float) -> Gaussians:
    """Make Gaussians that are not kept invisible, and the others more opaque for it.

    What lies behind others is seen now and then, and is trained; no single Gaussian can stand for
    what one photograph shows. Differentiable in the opacities.

    Args:
        kept: [N] bool; None: all.
        dropped: The share of the others, 0..1.
    Source: Park et al., "DropGaussian: structural regularization for sparse-view Gaussian
    splatting", 2025, section 3.2.
    """
    if kept is None:
        return splats
    opacities = (splats.opacities * kept / (1.0 - dropped)).clamp(_LEAST, _MOST)
    return replace(splats, opacity_logits=torch.logit(opacities))
