"""Plain twins of the kernels: features of other views moved to the reference, and their costs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def warp(features: Tensor, matrices: Tensor, depths: Tensor, size: tuple[int, int]) -> Tensor:
    """Features of a view as the reference's pixels see them at each depth.

    Args:
        features: [B, C, h', w'] of the other view.
        matrices: [B, 3, 4], as `planes.sweep_matrices` gives them.
        depths: [B, D] or [B, D, h, w].
        size: (h, w) of the reference's map.

    Returns:
        [B, C, D, h, w], interpolated; 0 outside of the view and behind its camera.
    Source: Yao et al., MVSNet, ECCV 2018, section 3.2.
    """
    (height, width), (batch, count) = size, depths.shape[:2]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=features.device, dtype=torch.float32),
        torch.arange(width, device=features.device, dtype=torch.float32),
        indexing="ij",
    )
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).reshape(3, -1)  # [3, h·w]
    rays = (matrices[:, :, :3] @ pixels)[:, :, None]  # [B, 3, 1, h·w]
    seen = rays * depths.reshape(batch, 1, count, -1) + matrices[:, :, 3, None, None]
    in_front = seen[:, 2] > 0.0
    places = seen[:, :2] / torch.where(in_front, seen[:, 2], 1.0)[:, None]  # [B, 2, D, h·w]
    scale = places.new_tensor([features.shape[3] - 1, features.shape[2] - 1]).clamp(min=1.0)
    grid = 2.0 * places / scale[:, None, None] - 1.0
    grid = torch.where(in_front[:, None], grid, -2.0 - 4.0 / scale.min())
    grid = grid.permute(0, 2, 3, 1).reshape(batch, count, height * width, 2)
    moved = functional.grid_sample(features, grid, padding_mode="zeros", align_corners=True)
    return moved.reshape(batch, -1, count, height, width)


def variance(reference: Tensor, others: Tensor, matrices: Tensor, depths: Tensor) -> Tensor:
    """How much all views differ at each hypothesis.

    Args:
        reference: [B, C, h, w].
        others: [V-1, B, C, h', w'].
        matrices: [V-1, B, 3, 4].
        depths: [B, D] or [B, D, h, w].

    Returns:
        [B, C, D, h, w]: the variance over the views, the reference among them.
    Source: Yao et al., MVSNet, ECCV 2018, eq. 2.
    """
    size, views = (reference.shape[2], reference.shape[3]), len(others) + 1
    total = total_of_squares = torch.zeros((), device=reference.device)
    for features, matrix in zip(others, matrices, strict=True):
        apart = warp(features, matrix, depths, size) - reference[:, :, None]
        total, total_of_squares = total + apart, total_of_squares + apart * apart
    return total_of_squares / views - (total / views).square()


def correlation(
    reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor, groups: int
) -> Tensor:
    """How similar a view is to the reference at each hypothesis, in groups of channels.

    Args:
        reference: [B, C, h, w].
        other: [B, C, h', w'].
        matrices: [B, 3, 4].
        depths: [B, D] or [B, D, h, w].

    Returns:
        [B, G, D, h, w]: the mean product of a group's channels.
    Source: Guo et al., Group-wise correlation stereo network, CVPR 2019, eq. 6; Xu & Tao, CIDER,
        AAAI 2020, eq. 2.
    """
    batch, channels, height, width = reference.shape
    products = warp(other, matrices, depths, (height, width)) * reference[:, :, None]
    return products.reshape(batch, groups, channels // groups, -1, height, width).mean(2)
