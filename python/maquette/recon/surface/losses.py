"""What training minimises: colour difference, unit gradients, smooth surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.surface.config import LossWeight
from maquette.recon.surface.field import Probe

Mean = Callable[[Tensor], Tensor]

_SQUARES = 4.0
_LEAST_THROUGH = 1e-3  # what counts as passing an opaque surface


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


def squared_difference(rgb: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of colours [R, 3], about as large as `color_difference`.

    Its best answer is the mean of what photographs show, not the median: best in PSNR.
    """
    return _SQUARES * (rgb - truth).square().mean()


def eikonal(gradient: Tensor, mean: Mean = Tensor.mean) -> Tensor:
    """Mean squared difference of gradient lengths [N, 3] from one. Neuralangelo eq. 6."""
    return mean((gradient.norm(dim=-1) - 1.0).square())


def curvature(laplacian: Tensor, mean: Mean = Tensor.mean) -> Tensor:
    """Mean absolute Laplacian [N]. Neuralangelo eq. 9."""
    return mean(laplacian.abs())


def hidden_sky(opacity: Tensor, is_sky: Tensor) -> Tensor:
    """How much hides the sky: cross-entropy of opacity [R] where it is [R] bool; mean of all rays.

    Source: the mask loss of NeuS (arXiv:2106.10689), for the sky alone, which Urban Radiance Fields
    (arXiv:2111.14643) keep empty too.
    """
    through = 1.0 - (1.0 - _LEAST_THROUGH) * opacity
    return torch.where(is_sky, -through.log(), 0.0).mean()


def mean_of(counts: Tensor, values: Tensor) -> Tensor:
    """The mean of those of the values [N] that count, [N] bool."""
    return torch.where(counts, values, 0.0).sum() / counts.sum()


def combine(
    rgb: Tensor, truth: Tensor, probe: Probe, weight: LossWeight, smoothing: float,
    mean: Mean = Tensor.mean,
) -> Losses:  # fmt: skip
    """All terms of one batch.

    Args:
        rgb, truth: [R, 3] rendered and photographed colours.
        probe: The field where it was differentiated.
        smoothing: Factor on the curvature term, 0..1 (rises and falls with the active cell).
        mean: How to average over points when several processes share a batch.
    """
    render = color_difference(rgb, truth)
    unit, smooth = eikonal(probe.gradient, mean), curvature(probe.laplacian, mean)
    total = weight.render * render + weight.eikonal * unit + weight.curvature * smoothing * smooth
    return Losses(total, render, unit, smooth)


def psnr(rgb: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of colours in 0..1, a scalar."""
    error = (rgb - truth).square().mean().clamp(min=1e-10)
    return -10.0 * torch.log10(error)
