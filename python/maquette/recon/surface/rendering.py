"""From signed distances along rays to weights. NeuS (arXiv:2106.10689).

Symbols: f signed distance, s sharpness, Φ_s the logistic function Φ_s(f) = 1 / (1 + exp(-s f)),
α opacity of a section between two samples, T transmittance, w = T α weight.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def section_opacity(distance: Tensor, sharpness: Tensor | float) -> Tensor:
    """Opacity of the sections between consecutive samples.

    Args:
        distance: [R, K] f at the samples, front to back.
        sharpness: s, positive; 1/s is the surface's softness in unit space.

    Returns:
        [R, K-1] in 0..1.
    Source: NeuS eq. 13, with f evaluated at the samples themselves.
    """
    phi = torch.sigmoid(distance * sharpness)
    return ((phi[:, :-1] - phi[:, 1:] + 1e-6) / (phi[:, :-1] + 1e-6)).clamp(0.0, 1.0)


def composite_weights(opacity: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of sections and what passes them all.

    Args:
        opacity: [R, S] α, front to back.

    Returns:
        weights [R, S] with sum <= 1, transmittance [R] behind the last section.
    Source: NeuS eq. 11 and the definition of T_i below it.
    """
    passing: Tensor = _Passing.apply(1.0 - opacity.clamp(max=1.0 - 1e-6))  # type: ignore[no-untyped-call]
    before = torch.nn.functional.pad(passing[:, :-1], (1, 0), value=1.0)
    return opacity * before, passing[:, -1]


class _Passing(torch.autograd.Function):
    """Products of all factors so far, [R, S]; torch's own gradient looks for zeros on the host."""

    @staticmethod
    def forward(ctx: Any, factors: Tensor) -> Tensor:
        products = torch.cumprod(factors, dim=1)
        ctx.save_for_backward(factors, products)
        return products

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        factors, products = ctx.saved_tensors
        behind = (gradients[0] * products).flip(1).cumsum(1).flip(1)
        return behind / factors


def crossing(distance: Tensor, along: Tensor) -> Tensor:
    """Where to look at each section: its zero crossing, or its middle when there is none.

    Args:
        distance: [R, K] f at the samples.
        along: [R, K] ray distances of the samples.

    Returns:
        [R, K-1] ray distances.
    """
    front, back = distance[:, :-1], distance[:, 1:]
    inwards = (front > 0) & (back < 0)
    share = torch.where(inwards, front / (front - back).clamp(min=1e-9), 0.5)
    return along[:, :-1] + share * (along[:, 1:] - along[:, :-1])


def gather_sections(weights: Tensor, along: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Gather the sections of each ray in `count` groups of about equal weight, front to back.

    A colour costs five times a distance, and neighbouring sections have nearly the same one:
    each group is looked at once, at its mean.

    Args:
        weights: [R, S], along: [R, S] where each section is looked at.

    Returns:
        weight [R, count], place [R, count] ray distances without gradient; empty groups have
        weight 0.
    """
    with torch.no_grad():
        total = weights.cumsum(1)
        middle = (total - 0.5 * weights) / total[:, -1:].clamp(min=1e-9)
        group = (middle * count).long().clamp(0, count - 1)
    empty = weights.new_zeros(len(weights), count)
    gathered = empty.scatter_add(1, group, weights)
    place = empty.scatter_add(1, group, weights.detach() * along) / gathered.detach().clamp(
        min=1e-9
    )
    return gathered, place
