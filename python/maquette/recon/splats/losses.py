"""How a rendering differs from its photograph: by pixel, and in structure."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.splats.kernels import similarity
from maquette.recon.splats.kernels.similarity import MARGIN, REACH

_SIGMA = 1.5  # pixels, of the window
_SHARE_OF_SSIM = 0.2
_LANES = 16


def photo_loss(
    render: Tensor, photo: Tensor, mask: Tensor | None = None, share: float = _SHARE_OF_SSIM
) -> Tensor:
    """(1 - share) · L1 + share · (1 - SSIM); scalar.

    Args:
        render, photo: [C, H, W], 0..1.
        mask: [H, W] bool, the pixels that count; None = all. Windows that reach beyond find
            the photograph itself there.

    Source: Kerbl et al., 2023, equation 7; differs: masks.
    """
    if mask is not None:
        render = torch.where(mask, render, photo)
    count = render.numel() if mask is None else mask.sum().clamp(min=1) * len(render)
    apart = (render - photo).abs().sum() / count
    return (1 - share) * apart + share * (1 - ssim(render, photo, mask))


def ssim(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean structural similarity [C, H, W], over the pixels of a mask; differentiable in the first.

    The window is 11 × 11, Gaussian, and finds zeros beyond the edges. Source: Wang et al., "Image
    quality assessment", 2004, equation 13.
    """
    weight = _weight(first, mask)
    value: Tensor = _Similarity.apply(first, second, weight)  # type: ignore[no-untyped-call]
    return value


def ssim_reference(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same in plain PyTorch."""
    window = _window(first.device)
    kernel = (window[:, None] * window[None, :])[None, None]

    def blur(picture: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(picture[:, None], kernel, padding=REACH)[:, 0]

    p, q = blur(first), blur(second)
    pp, qq, pq = blur(first * first), blur(second * second), blur(first * second)
    low, high = 0.01**2, 0.03**2
    similar = (2 * p * q + low) * (2 * (pq - p * q) + high)
    similar = similar / ((p * p + q * q + low) * (pp - p * p + qq - q * q + high))
    return (similar * _weight(first, mask)).sum()


def _weight(picture: Tensor, mask: Tensor | None) -> Tensor:
    """What each pixel's channel adds to a mean, [H, W]."""
    channels, height, width = picture.shape
    if mask is None:
        return picture.new_full((height, width), 1.0 / picture.numel())
    return mask.float() / (mask.sum().clamp(min=1) * channels)


@functools.cache
def _window(device: torch.device) -> Tensor:
    away = range(-REACH, REACH + 1)
    density = [math.exp(-0.5 * (step / _SIGMA) ** 2) for step in away]
    return torch.tensor([value / sum(density) for value in density], device=device)


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """The gradient is found at once: half of its work is done already."""
        value, gradient = _compare(first.detach(), second.detach(), weight)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return given * gradient, None, None


def _compare(first: Tensor, second: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    channels, height, width = first.shape
    device = first.device
    pitch = -(-width // MARGIN) * MARGIN + 2 * MARGIN
    one, two = _framed(first, pitch), _framed(second, pitch)
    shares = torch.zeros(height, pitch, device=device)
    shares[:, MARGIN : MARGIN + width] = weight
    middle = torch.empty(5, channels, height, pitch, device=device)
    slopes = torch.zeros(3, channels, height + 2 * REACH, pitch, device=device)
    value, gradient = torch.empty(2, channels, height, pitch, device=device)
    step = 1 if device.type == "cuda" else _LANES
    items = channels * height * (pitch // step)
    sizes = [pitch, height, channels, array(_window(device))]
    parts = {"one": one, "two": two, "shares": shares, "middle": middle, "slopes": slopes}
    flat = {name: array(tensor.view(-1), wp.float32) for name, tensor in parts.items()}
    values, out = array(value.view(-1)), array(gradient.view(-1))
    for kernel, rest in (
        (similarity.down, [flat["one"], flat["two"], flat["middle"]]),
        (similarity.compare, [flat["middle"], flat["shares"], values, flat["slopes"]]),
        (similarity.down_slopes, [flat["slopes"], flat["middle"]]),
        (similarity.gradient_of_first, [flat["one"], flat["two"], flat["middle"], out]),
    ):
        over_items(kernel, items, device, [*sizes, *rest])
    return value.sum(), gradient[:, :, MARGIN : MARGIN + width]


def _framed(picture: Tensor, pitch: int) -> Tensor:
    """A picture within its margin of zeros."""
    channels, height, width = picture.shape
    framed = torch.zeros(channels, height + 2 * REACH, pitch, device=picture.device)
    framed[:, REACH : REACH + height, MARGIN : MARGIN + width] = picture
    return framed
