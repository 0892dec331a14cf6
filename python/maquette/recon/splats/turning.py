"""Gaussians in a turned or scaled world."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians

FloatArray = NDArray[np.floating]


def turned(gaussians: Gaussians, rotation: FloatArray) -> Gaussians:
    """The same Gaussians in axes turned by `rotation` [3, 3], new world from old.

    Means, axes and the colours' dependence on direction turn alike.
    """
    matrix = torch.from_numpy(np.asarray(rotation, np.float64)).float().to(gaussians.device)
    sh = gaussians.sh.clone()
    for degree in range(1, gaussians.degree + 1):
        band = slice(degree**2, (degree + 1) ** 2)
        turn = torch.from_numpy(sh_rotation(rotation, degree)).float().to(gaussians.device)
        sh[:, band] = torch.einsum("ij,njc->nic", turn, gaussians.sh[:, band])
    return replace(
        gaussians,
        means=gaussians.means @ matrix.T,
        quaternions=_product(quaternion_of(rotation).to(gaussians.device), gaussians.quaternions),
        sh=sh,
    )


def scaled(gaussians: Gaussians, factor: float) -> Gaussians:
    """The same in units `factor` times smaller: positions and sizes grow alike."""
    return replace(
        gaussians,
        means=gaussians.means * factor,
        log_scales=gaussians.log_scales + math.log(factor),
    )


def sh_rotation(rotation: FloatArray, degree: int) -> FloatArray:
    """The matrix [2l + 1, 2l + 1] that turns coefficients of degree l, new from old.

    A turned function of degree l is one of degree l, so its coefficients are those that give its
    values in enough directions: Y(d)·c' = Y(Rᵀd)·c for every d, solved by least squares, which
    leaves no error but that of rounding. The matrix is Wigner's for real harmonics.
    """
    directions = _directions()
    new, old = _basis(directions, degree), _basis(directions @ np.asarray(rotation), degree)
    turn: FloatArray = np.linalg.lstsq(new, old, rcond=None)[0]
    return turn


def quaternion_of(rotation: FloatArray) -> Tensor:
    """The unit quaternion (w, x, y, z) of a rotation matrix [3, 3], float32 [4].

    It is the eigenvector of the largest eigenvalue (Bar-Itzhack, 2000), which has no special
    cases.
    """
    m = np.asarray(rotation, np.float64)
    symmetric = np.array([
        [m[0, 0] + m[1, 1] + m[2, 2], 0, 0, 0],
        [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], 0, 0],
        [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0],
        [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1]],
    ])  # fmt: skip
    _, vectors = np.linalg.eigh(symmetric, UPLO="L")
    quaternion = vectors[:, -1]
    return torch.from_numpy(quaternion * (1.0 if quaternion[0] >= 0 else -1.0)).float()


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Quaternion [4] times quaternions [N, 4]: the rotation `second`, then `first`."""
    w, x, y, z = first.unbind()
    matrix = torch.stack([
        torch.stack([w, -x, -y, -z]),
        torch.stack([x, w, -z, y]),
        torch.stack([y, z, w, -x]),
        torch.stack([z, -y, x, w]),
    ])  # fmt: skip
    return second @ matrix.T


def _directions() -> FloatArray:
    """Unit vectors spread over the sphere (Fibonacci's spiral), [64, 3]."""
    places = np.arange(64) + 0.5
    z, angle = 1 - 2 * places / 64, np.pi * (1 + 5**0.5) * places
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _basis(directions: FloatArray, degree: int) -> FloatArray:
    """Real spherical harmonics of one degree, without their constants' common sign rules.

    Order and signs are those of 3D Gaussian splatting; [N, 2l + 1].
    """
    x, y, z = directions.T
    if degree == 1:
        parts = [-y, z, -x]
    elif degree == 2:
        parts = [
            x * y, -y * z, (2 * z * z - x * x - y * y) / (2 * 3**0.5), -x * z, (x * x - y * y) / 2,
        ]  # fmt: skip
    else:
        parts = [
            -y * (3 * x * x - y * y) * (5 / 8) ** 0.5,
            x * y * z * 15**0.5,
            -y * (4 * z * z - x * x - y * y) * (3 / 8) ** 0.5,
            z * (2 * z * z - 3 * x * x - 3 * y * y) / 2,
            -x * (4 * z * z - x * x - y * y) * (3 / 8) ** 0.5,
            z * (x * x - y * y) * 15**0.5 / 2,
            -x * (x * x - 3 * y * y) * (5 / 8) ** 0.5,
        ]
    return np.stack(parts, axis=1)
