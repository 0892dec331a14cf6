"""What training minimises: colour difference, unit gradients, smooth surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.surface.field import Probe
from maquette.recon.surface.settings import LossWeight


@dataclass(frozen=True)
class Losses:
    """The weighted sum and its terms, scalars."""

    total: Tensor
    render: Tensor
    eikonal: Tensor
    curvature: Tensor


def color_difference(rgb: Tensor, truth: Tensor) -> Tensor:
    """Mean L1 difference of colours [R, 3]. Neuralangelo eq. 5."""
    return (rgb - truth).abs().mean()


def eikonal(gradient: Tensor) -> Tensor:
    """Mean squared difference of gradient lengths [N, 3] from one. Neuralangelo eq. 6."""
    return (gradient.norm(dim=-1) - 1.0).square().mean()


def curvature(laplacian: Tensor) -> Tensor:
    """Mean absolute Laplacian [N]. Neuralangelo eq. 9."""
    return laplacian.abs().mean()


def combine(
    rgb: Tensor, truth: Tensor, probe: Probe, weight: LossWeight, smoothing: float
) -> Losses:
    """All terms of one batch.

    Args:
        rgb, truth: [R, 3] rendered and photographed colours.
        probe: The field where it was differentiated.
        smoothing: Factor on the curvature term, 0..1 (rises and falls with the active cell).
    """
    render = color_difference(rgb, truth)
    unit, smooth = eikonal(probe.gradient), curvature(probe.laplacian)
    total = weight.render * render + weight.eikonal * unit + weight.curvature * smoothing * smooth
    return Losses(total, render, unit, smooth)


def psnr(rgb: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of colours in 0..1."""
    error = (rgb - truth).square().mean().clamp(min=1e-10)
    return float(-10.0 * torch.log10(error))
