"""Gaussians without any symmetry, so that a wrong axis, order or sign shows."""

from __future__ import annotations

import torch

from maquette.recon.splats.gaussians import Gaussians


def lopsided(count: int = 600, degree: int = 3, seed: int = 1) -> Gaussians:
    """Random Gaussians in a box of three different sides, away from the origin."""
    draws = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    return Gaussians(
        means=normal(count, 3) * torch.tensor([1.0, 2.0, 0.5]) + torch.tensor([0.3, -1.0, 4.0]),
        log_scales=normal(count, 3) * 0.7 - 4,
        quaternions=normal(count, 4),
        opacity_logits=normal(count) * 2,
        sh=normal(count, (degree + 1) ** 2, 3) * 0.2,
    )
