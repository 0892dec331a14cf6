"""ALIKED: keypoints and descriptors of a picture, by a network with deformable convolutions.

Source: Zhao et al., "ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable
Transformation", IEEE TIM 2023; differs: fainter keypoints count, and local maxima are looked for
once. Names of weights are those of the published file (n16).

Letters: C channels, H, W the picture's size, N keypoints, M = 16 places that a descriptor samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from maquette.recon.sfm.learned.weights import Weights

_MULTIPLE = 32  # of both sides of the picture: the coarsest map is a 32nd of it
_RADIUS = 2  # of the window in which a keypoint has the highest score
_LEAST_SCORE = 0.1  # fainter ones match too, but lie pixels off
_TEMPERATURE = 0.1  # of the soft maximum that places it between pixels


def detect(
    weights: Weights, picture: Tensor, count: int, usable: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Find the keypoints with the highest scores and describe them.

    Args:
        picture: [3, H, W] float32, 0..1.
        count: At most so many keypoints.
        usable: [H, W] bool, where keypoints may lie; None: everywhere.

    Returns:
        Keypoints [N, 2] (x, y; pixels, the middle of the first pixel is 0) and unit descriptors
        [N, 128], both float32.
    """
    features, scores = _maps(weights, picture[None])
    peaks = _peaks(scores, count, usable)
    keypoints = peaks + _fraction(scores, peaks)
    return keypoints, _descriptors(weights, features, keypoints)


def _maps(weights: Weights, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The feature map [1, 128, H, W], unit vectors, and the score map [H, W], 0..1."""
    height, width = picture.shape[-2:]
    down, right = -height % _MULTIPLE, -width % _MULTIPLE
    edges = (right // 2, right - right // 2, down // 2, down - down // 2)
    fine = _plain_block(weights, F.pad(picture, edges, mode="replicate"))
    half = _residual_block(weights, "block2", F.avg_pool2d(fine, 2))
    eighth = _residual_block(weights, "block3", F.avg_pool2d(half, 4))
    coarse = _residual_block(weights, "block4", F.avg_pool2d(eighth, 4))
    levels = [F.selu(_conv(weights, f"conv{n}", level))
              for n, level in enumerate((fine, half, eighth, coarse), 1)]  # fmt: skip
    size = fine.shape[-2:]
    merged = torch.cat([levels[0], *(_enlarged(level, size) for level in levels[1:])], dim=1)
    top, left = edges[2], edges[0]
    merged = merged[..., top : top + height, left : left + width]
    return F.normalize(merged, dim=1), _scores(weights, merged)


def _scores(weights: Weights, merged: Tensor) -> Tensor:
    for layer in (0, 2, 4):
        merged = F.selu(_conv(weights, f"score_head.{layer}", merged))
    return torch.sigmoid(_conv(weights, "score_head.6", merged))[0, 0]


def _enlarged(level: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(level, size, mode="bilinear", align_corners=True)


def _plain_block(weights: Weights, maps: Tensor) -> Tensor:
    for n in (1, 2):
        maps = F.selu(_normed(weights, f"block1.bn{n}", _conv(weights, f"block1.conv{n}", maps)))
    return maps


def _residual_block(weights: Weights, block: str, maps: Tensor) -> Tensor:
    bent = f"{block}.conv1.offset_conv.weight" in weights
    conv = _deformable_conv if bent else _conv
    inner = F.selu(_normed(weights, f"{block}.bn1", conv(weights, f"{block}.conv1", maps)))
    inner = _normed(weights, f"{block}.bn2", conv(weights, f"{block}.conv2", inner))
    return F.selu(inner + _conv(weights, f"{block}.downsample", maps))


def _normed(weights: Weights, name: str, maps: Tensor) -> Tensor:
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return F.batch_norm(maps, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _conv(weights: Weights, name: str, maps: Tensor) -> Tensor:
    kernel = weights[f"{name}.weight"]
    return F.conv2d(maps, kernel, weights.get(f"{name}.bias"), padding=kernel.shape[-1] // 2)


def _deformable_conv(weights: Weights, name: str, maps: Tensor) -> Tensor:
    """A 3×3 convolution whose nine taps are moved by offsets that depend on the place.

    Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017, eq. 2.
    """
    height, width = maps.shape[-2:]
    reach = max(height, width) / 4
    offsets = _conv(weights, f"{name}.offset_conv", maps).clamp(-reach, reach)
    offsets = offsets.view(9, 2, height, width)  # y, x of each tap
    kernel = weights[f"{name}.regular_conv.weight"]  # [C', C, 3, 3]
    rows = torch.arange(height, device=maps.device)[:, None]
    columns = torch.arange(width, device=maps.device)
    total = maps.new_zeros(1, kernel.shape[0], height, width)
    for tap in range(9):
        y, x = rows + tap // 3 - 1 + offsets[tap, 0], columns + tap % 3 - 1 + offsets[tap, 1]
        moved = _sampled(maps, torch.stack([x, y], dim=-1))  # [1, C, H, W]
        total = total + F.conv2d(moved, kernel[:, :, tap // 3, tap % 3, None, None])
    return total


def _sampled(maps: Tensor, places: Tensor) -> Tensor:
    """Maps [1, C, H, W] at places [A, B, 2] (x, y; pixels), bilinear, 0 outside: [1, C, A, B]."""
    height, width = maps.shape[-2:]
    last = places.new_tensor([width - 1, height - 1])
    return F.grid_sample(maps, 2 * places[None] / last - 1, mode="bilinear", align_corners=True)


def _peaks(scores: Tensor, count: int, usable: Tensor | None) -> Tensor:
    """The places [N, 2] (x, y; whole pixels) of the highest local maxima, away from the rim."""
    side = 2 * _RADIUS + 1
    highest = F.max_pool2d(scores[None, None], side, stride=1, padding=_RADIUS)[0, 0]
    is_peak = (scores == highest) & (scores >= _LEAST_SCORE)
    rim = torch.ones_like(is_peak)
    rim[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS] = False
    is_peak &= ~rim if usable is None else ~rim & usable
    places = is_peak.nonzero()  # [N, 2] row, column
    order = scores[places[:, 0], places[:, 1]].argsort(descending=True, stable=True)[:count]
    return places[order].flip(1)


def _fraction(scores: Tensor, peaks: Tensor) -> Tensor:
    """How far each keypoint lies from its pixel's middle, [N, 2]: a soft maximum of its window."""
    span = torch.arange(-_RADIUS, _RADIUS + 1, device=scores.device)
    rows, columns = torch.meshgrid(span, span, indexing="ij")
    window = torch.stack([columns, rows], dim=-1).reshape(-1, 2)  # [25, 2]
    places = peaks[:, None] + window  # [N, 25, 2]
    share = torch.softmax(scores[places[..., 1], places[..., 0]] / _TEMPERATURE, dim=1)
    return share @ window.to(scores)


def _descriptors(weights: Weights, features: Tensor, keypoints: Tensor) -> Tensor:
    """Describe keypoints [N, 2] by features at M places that each keypoint chooses, [N, 128]."""
    height, width = features.shape[-2:]
    reach = max(height, width) / 4
    corner = keypoints.long()  # [N, 2]
    span = torch.arange(-1, 2, device=features.device)
    patches = features[0][
        :, corner[:, 1, None, None] + span[:, None], corner[:, 0, None, None] + span
    ]
    patches = patches.transpose(0, 1)  # [N, C, 3, 3]
    head = "desc_head.offset_conv"
    hidden = F.selu(F.conv2d(patches, weights[f"{head}.0.weight"], weights[f"{head}.0.bias"]))
    offsets = _conv(weights, f"{head}.2", hidden).clamp(-reach, reach)  # [N, 2 M, 1, 1]
    places = keypoints[:, None] + offsets.view(len(keypoints), 2, -1).transpose(1, 2)  # [N, M, 2]
    found = _sampled(features, places)  # [1, C, N, M]
    found = F.selu(_conv(weights, "desc_head.sf_conv", found))[0]
    summed = torch.einsum("cnm,mcd->nd", found, weights["desc_head.agg_weights"])
    return F.normalize(summed, dim=1)
