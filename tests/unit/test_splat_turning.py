"""Gaussians in turned and scaled worlds look the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from maquette.recon.splats.turning import quaternion_of, scaled, sh_rotation, turned
from splat_scene import lopsided

RANDOM = Rotation.random(8, random_state=2).as_matrix()
TURNS = [np.eye(3), *(np.diag(signs) for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1)))]


def colors(sh: torch.Tensor, directions: np.ndarray) -> torch.Tensor:
    """Σ sh · basis of one Gaussian in directions [D, 3], by the formulas of the 3DGS paper."""
    x, y, z = directions.T
    basis = [
        np.full_like(x, 0.28209479), -0.48860251 * y, 0.48860251 * z, -0.48860251 * x,
        1.09254843 * x * y, -1.09254843 * y * z, 0.31539157 * (2 * z * z - x * x - y * y),
        -1.09254843 * x * z, 0.54627422 * (x * x - y * y),
        -0.59004359 * y * (3 * x * x - y * y), 2.89061144 * x * y * z,
        -0.45704580 * y * (4 * z * z - x * x - y * y),
        0.37317633 * z * (2 * z * z - 3 * x * x - 3 * y * y),
        -0.45704580 * x * (4 * z * z - x * x - y * y), 1.44530572 * z * (x * x - y * y),
        -0.59004359 * x * (x * x - 3 * y * y),
    ]  # fmt: skip
    return torch.from_numpy(np.stack(basis[: len(sh)], axis=1)).float() @ sh


@pytest.mark.parametrize("rotation", [*TURNS, *RANDOM])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_turned_gaussian_has_the_same_color_from_the_turned_direction(
    rotation: np.ndarray, degree: int
) -> None:
    splats = lopsided(3, degree=degree)
    directions = np.random.default_rng(0).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = colors(turned(splats, rotation).sh[1], directions @ rotation.T)
    assert torch.allclose(found, colors(splats.sh[1], directions), atol=1e-5)


@pytest.mark.parametrize("rotation", [*TURNS, *RANDOM])
def test_a_turned_gaussian_has_the_turned_covariance(rotation: np.ndarray) -> None:
    splats = lopsided(20)
    found, start = covariances(turned(splats, rotation)), covariances(splats)
    assert np.allclose(found, rotation @ start @ rotation.T, atol=1e-6)
    assert np.allclose(turned(splats, rotation).means, splats.means.numpy() @ rotation.T, atol=1e-5)


def test_turns_of_coefficients_follow_one_another() -> None:
    first, second = RANDOM[:2]
    for degree in (1, 2, 3):
        one_by_one = sh_rotation(second, degree) @ sh_rotation(first, degree)
        assert np.allclose(sh_rotation(second @ first, degree), one_by_one, atol=1e-12)


@pytest.mark.parametrize("rotation", [*TURNS, *RANDOM])
def test_a_matrix_has_its_quaternion(rotation: np.ndarray) -> None:
    w, *xyz = quaternion_of(rotation).tolist()
    assert np.allclose(Rotation.from_quat([*xyz, w]).as_matrix(), rotation, atol=1e-6)


def test_a_scaled_scene_has_its_sizes_and_places_scaled_alike() -> None:
    splats = lopsided(20)
    found = scaled(splats, 50.0)
    assert torch.allclose(found.means, 50 * splats.means)
    assert torch.allclose(found.scales, 50 * splats.scales)


def covariances(splats) -> np.ndarray:
    w, x, y, z = splats.rotations.double().numpy().T
    axes = Rotation.from_quat(np.stack([x, y, z, w], axis=1)).as_matrix()
    return np.einsum("nij,nj,nkj->nik", axes, splats.scales.double().numpy() ** 2, axes)
