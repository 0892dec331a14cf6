"""Geometry of a plane sweep: hypotheses of depth, and where a pixel at a depth is seen by others.

Pixels of feature maps are counted from 0, row and column; a map of stride s has its pixel i where
the picture has pixel s·i, whose centre is at s·i + 0.5 (a convolution of stride 2 with symmetric
padding keeps every second pixel).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sweep_matrices(projections: Tensor, stride: int) -> Tensor:
    """How pixels of the reference's feature map move to those of the other views.

    A pixel (x, y) at depth d is seen at (u/w, v/w) with (u, v, w) = d·M[:, :3]·(x, y, 1) + M[:, 3].

    Args:
        projections: [B, V, 4, 4], world to pixel of the pictures, the reference first.
        stride: Of the feature maps.

    Returns:
        [V-1, B, 3, 4] float32.
    Source: Yao et al., MVSNet, ECCV 2018, eq. 1; differs: written with projection matrices.
    """
    index_from_pixel = torch.eye(4, dtype=torch.float64, device=projections.device)
    index_from_pixel[[0, 1], [0, 1]] = 1.0 / stride
    index_from_pixel[[0, 1], [2, 2]] = -0.5 / stride
    index_from_world = index_from_pixel @ projections.double()
    moved = index_from_world[:, 1:] @ torch.linalg.inv(index_from_world[:, :1])
    return moved[..., :3, :].transpose(0, 1).float().contiguous()  # [V-1, B, 3, 4]


def equal_depths(depth_range: Tensor, count: int) -> Tensor:
    """Planes that are equally far apart, [B, D], from near to far [B, 2]."""
    steps = torch.linspace(0.0, 1.0, count, device=depth_range.device)
    near, far = depth_range.unbind(1)
    return near[:, None] + (far - near)[:, None] * steps


def inverse_depths(depth_range: Tensor, count: int) -> Tensor:
    """Planes that are equally far apart in a picture, [B, D]: in 1/depth, from far to near.

    Source: Xu & Tao, Learning inverse depth regression (CIDER), AAAI 2020, eq. 5.
    """
    return equal_depths(1.0 / depth_range.flip(1), count).reciprocal()


def narrowed(depth: Tensor, deviation: Tensor, depth_range: Tensor, count: int) -> Tensor:
    """Hypotheses of each pixel around the depth of the stage before.

    Args:
        depth: [B, h, w].
        deviation: [B, h, w], how far on either side to look, in 1/depth.
        depth_range: [B, 2], near and far: no hypothesis is outside.

    Returns:
        [B, D, h, w], equally spaced in 1/depth, from far to near.
    Source: Cheng et al., UCS-Net, CVPR 2020, eq. 3; differs: in inverse depth.
    """
    steps = torch.linspace(-1.0, 1.0, count, device=depth.device)[None, :, None, None]
    inverse = depth.reciprocal()[:, None] + steps * deviation[:, None]
    near, far = depth_range[:, :1, None, None], depth_range[:, 1:, None, None]
    return inverse.clamp(min=far.reciprocal(), max=near.reciprocal()).reciprocal()


def doubled(values: Tensor, height: int, width: int) -> Tensor:
    """Maps [B, h, w] at twice their size: even pixels as they were, those between interpolated."""
    padded = functional.pad(values[:, None], (0, 1, 0, 1), mode="replicate")
    size = 2 * values.shape[1] + 1, 2 * values.shape[2] + 1
    finer = functional.interpolate(padded, size, mode="bilinear", align_corners=True)
    return finer[:, 0, :height, :width].contiguous()
