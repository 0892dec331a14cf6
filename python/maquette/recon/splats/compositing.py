"""Ellipses to a picture, in plain PyTorch: every pixel asks every ellipse. The kernels' twin."""

from __future__ import annotations

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.projection import LEAST_ALPHA, MOST_ALPHA, Ellipses


def composite(ellipses: Ellipses, camera: Camera) -> Tensor:
    """Blend ellipses from front to back.

    Returns:
        [5, H, W]: red, green, blue, depth (each the sum over what is seen, in its share), and
        the share of light that passes all.
    Source: Kerbl et al., 2023, equation 3. Where almost nothing passes any more kernels stop,
    this does not.
    """
    chosen, alpha = layers(ellipses, camera)
    passed = torch.cumprod(1.0 - alpha, dim=0)
    passing = torch.cat([torch.ones_like(passed[:1]), passed])  # [M + 1, H, W]
    values = torch.cat([ellipses.colors[chosen], ellipses.depths[chosen][:, None]], dim=1)
    blended = torch.einsum("mhw,mc->chw", alpha * passing[:-1], values)
    return torch.cat([blended, passing[-1:]])


def layers(ellipses: Ellipses, camera: Camera) -> tuple[Tensor, Tensor]:
    """The numbers [M] of visible ellipses, nearest first, and their α in each pixel [M, H, W]."""
    chosen = torch.nonzero(ellipses.visible)[:, 0]
    chosen = chosen[torch.argsort(ellipses.depths.detach()[chosen], stable=True)]
    rows = torch.arange(camera.height, device=chosen.device) + 0.5
    columns = torch.arange(camera.width, device=chosen.device) + 0.5
    dx = columns[None, None, :] - ellipses.means[chosen, 0][:, None, None]  # [M, 1, W]
    dy = rows[None, :, None] - ellipses.means[chosen, 1][:, None, None]  # [M, H, 1]
    a, b, c = (ellipses.conics[chosen, k][:, None, None] for k in range(3))
    power = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy  # [M, H, W]
    alpha = ellipses.opacities[chosen][:, None, None] * torch.exp(-power)
    return chosen, torch.where(alpha < LEAST_ALPHA, 0.0, alpha.clamp(max=MOST_ALPHA))
