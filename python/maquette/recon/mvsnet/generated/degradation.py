"""What real cameras do to pictures: exposure, white balance, blur, noise and JPEG.

All of it is sums in a fixed order, so that the same seed gives the same picture on the CPU on any
number of threads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 8
# The luminance table of ITU-R T.81, annex K, which nearly every JPEG has.
_TABLE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]).reshape(_BLOCK, _BLOCK)  # fmt: skip


def degrade(pictures: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures [N, 3, H, W] of 0..1 as cameras would give them, in steps of 1/255.

    Exposure and noise differ a little from view to view, and much from scene to scene.
    """
    count, device = len(pictures), pictures.device
    gains = random.uniform(0.8, 1.25) * np.exp(random.normal(0, 0.06, (count, 1)))
    gains = gains * np.exp(random.normal(0, 0.02, (count, 3)))
    gamma = random.uniform(0.6, 1.0)
    shown = (pictures * _shaped(gains, device)).clamp(0, 1).pow(gamma)
    sigma_px = np.clip(random.uniform(0.0, 0.6) + random.normal(0, 0.15, count), 0, None)
    blurred = _blurred(shown, sigma_px)
    noise = random.uniform(0.0, 0.02) * random.standard_normal(pictures.shape, np.float32)
    noisy = (blurred + torch.from_numpy(noise).to(device)).clamp(0, 1)
    if random.random() < 0.7:
        noisy = through_jpeg(noisy, random.uniform(60, 97))
    return (noisy * 255).round() / 255


def through_jpeg(pictures: Tensor, quality: float) -> Tensor:
    """What JPEG's quantisation leaves of pictures [N, 3, H, W] of 0..1.

    Each of Y, Cb and Cr is cut to blocks of 8 × 8, whose cosine transform is rounded; the table is
    scaled by the quality as libjpeg does. Colours keep their resolution, as in 4:4:4.
    """
    height, width = pictures.shape[-2:]
    pad = (0, -width % _BLOCK, 0, -height % _BLOCK)
    padded = torch.nn.functional.pad(pictures, pad, mode="replicate")
    scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    table = np.clip(np.rint(_TABLE * scale), 1, 255)
    basis = _cosines()
    down, across = padded.shape[-2] // _BLOCK, padded.shape[-1] // _BLOCK
    blocks = 255 * _luma(padded).reshape(len(pictures), 3, down, _BLOCK, across, _BLOCK)
    waves = _along(_along(blocks, basis, -1), basis, -3)  # [N, 3, h, 8, w, 8]
    steps = torch.as_tensor(table, dtype=waves.dtype, device=waves.device)[:, None, :]
    waves = (waves / steps).round() * steps
    back = _along(_along(waves, basis.T, -1), basis.T, -3) / 255
    rgb = _rgb(back.flatten(-2).flatten(-3, -2))
    return rgb[..., :height, :width].clamp(0, 1)


def _blurred(pictures: Tensor, sigma_px: NDArray[np.float64]) -> Tensor:
    """A Gaussian blur of three taps along both axes, of each view its own."""
    edge = np.exp(-0.5 / np.maximum(sigma_px, 1e-3) ** 2)
    middle = _shaped(1 / (1 + 2 * edge), pictures.device)
    side = _shaped(edge / (1 + 2 * edge), pictures.device)
    for axis in (-1, -2):
        pad = (1, 1, 0, 0) if axis == -1 else (0, 0, 1, 1)
        wide = torch.nn.functional.pad(pictures, pad, mode="replicate")
        length = pictures.shape[axis]
        before, after = wide.narrow(axis, 0, length), wide.narrow(axis, 2, length)
        pictures = middle * pictures + side * (before + after)
    return pictures


def _shaped(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """Values [N] or [N, C] as [N, C, 1, 1] float32."""
    values = values.reshape(len(values), -1, 1, 1)
    return torch.as_tensor(values, dtype=torch.float32, device=device)


def _cosines() -> NDArray[np.float64]:
    """The orthonormal cosine transform [8, 8], a frequency a row."""
    frequency, place = np.mgrid[:_BLOCK, :_BLOCK]
    waves = np.cos(math.pi * (2 * place + 1) * frequency / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    waves[0] /= math.sqrt(2)
    return np.asarray(waves)


def _along(values: Tensor, matrix: NDArray[np.float64], axis: int) -> Tensor:
    """A matrix [8, 8] times the values along an axis of 8, summed in order."""
    rows = []
    for weights in matrix.tolist():
        total = values.select(axis, 0) * weights[0]
        for place in range(1, _BLOCK):
            total = total + values.select(axis, place) * weights[place]
        rows.append(total)
    return torch.stack(rows, axis)


def _luma(pictures: Tensor) -> Tensor:
    """YCbCr of RGB as JFIF has it, less its offsets."""
    red, green, blue = pictures.unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([y, 0.564 * (blue - y), 0.713 * (red - y)], dim=1)


def _rgb(pictures: Tensor) -> Tensor:
    y, cb, cr = pictures.unbind(1)
    red, blue = y + cr / 0.713, y + cb / 0.564
    return torch.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], dim=1)
