"""The 24 ways to number and turn the axes of an ellipsoid, all of which are the same Gaussian."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians


def least_turned(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians, each in the way in which it is turned least against the world.

    Components of its quaternion then lie near 0, which compresses better.
    """
    turns, orders = _ways()
    own = gaussians.rotations
    cosine = own[:, :1] * turns[:, 0] - own[:, 1:] @ turns[:, 1:].T  # [N, 24] real parts
    best = cosine.abs().argmax(dim=1)
    return replace(
        gaussians, quaternions=_product(own, turns[best]),
        log_scales=gaussians.log_scales.gather(1, orders[best]),
    )  # fmt: skip


@functools.cache
def _ways() -> tuple[Tensor, Tensor]:
    """Quaternions (w, x, y, z) [24, 4], and for each which axis becomes which, [24, 3]."""
    turns, orders = [], []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = signs
            if np.linalg.det(matrix) > 0:
                turns.append(Rotation.from_matrix(matrix).as_quat()[[3, 0, 1, 2]])
                orders.append(order)
    return torch.from_numpy(np.array(turns, np.float32)), torch.tensor(orders)


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Hamilton's product of quaternions [N, 4]."""
    a, u, b, v = one[:, :1], one[:, 1:], other[:, :1], other[:, 1:]
    real = a * b - (u * v).sum(dim=1, keepdim=True)
    return torch.cat([real, a * v + b * u + torch.linalg.cross(u, v)], dim=1)
