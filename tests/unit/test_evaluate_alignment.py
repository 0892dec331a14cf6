"""Alignment of cameras by a similarity."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from maquette.errors import BadInput
from maquette.recon.evaluate.cameras import compare_cameras
from maquette.recon.evaluate.similarity import (
    Similarity,
    align_robustly,
    fit_similarity,
    residuals,
)


def poses(count=30, seed=0):
    random = np.random.default_rng(seed)
    result = np.tile(np.eye(4), (count, 1, 1))
    result[:, :3, :3] = Rotation.random(count, random_state=seed).as_matrix()
    result[:, :3, 3] = random.normal(size=(count, 3)) * [2.0, 2.0, 0.3]
    return result


def similarity(seed=3, scale=2.7):
    random = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    return Similarity(scale, rotation, random.normal(size=3))


def moved(similar, cameras):
    result = cameras.copy()
    result[:, :3, :3] = similar.rotation @ cameras[:, :3, :3]
    result[:, :3, 3] = similar.apply(cameras[:, :3, 3])
    return result


@pytest.mark.parametrize("align", [fit_similarity, align_robustly])
def test_an_exact_similarity_is_found_exactly(align):
    source, true = poses()[:, :3, 3], similarity()
    found = align(source, true.apply(source))
    assert found.scale == pytest.approx(true.scale, rel=1e-9)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, true.translation, atol=1e-9)


def test_a_flat_orbit_is_aligned_without_mirroring():
    source = poses()[:, :3, 3] * [1, 1, 0]
    true = similarity()
    found = align_robustly(source, true.apply(source))
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-8)


def test_one_gross_outlier_does_not_spoil_the_others():
    true = poses()
    estimated = moved(similarity(), true)
    estimated[7, :3, 3] += 100.0
    errors = compare_cameras(estimated, true)
    others = np.delete(errors.position, 7)
    assert others.max() < 1e-8
    assert errors.position[7] == pytest.approx(100 * np.sqrt(3) / 2.7, rel=1e-6)
    plain = residuals(
        fit_similarity(estimated[:, :3, 3], true[:, :3, 3]), estimated[:, :3, 3], true[:, :3, 3]
    )
    assert np.delete(plain, 7).max() > 0.5  # what robustness saves us from


def test_a_third_of_wrong_cameras_is_survived():
    true = poses(45)
    estimated = moved(similarity(), true)
    estimated[::3, :3, 3] = np.random.default_rng(5).normal(size=(15, 3)) * 5
    errors = compare_cameras(estimated, true)
    assert np.delete(errors.position, np.arange(0, 45, 3)).max() < 1e-8


def test_noise_gives_errors_of_its_size():
    true, random = poses(200), np.random.default_rng(1)
    noisy = true.copy()
    noisy[:, :3, 3] += random.normal(size=(200, 3)) * 0.01
    errors = compare_cameras(moved(similarity(), noisy), true)
    expected = 0.01 * np.sqrt(8 / np.pi)  # mean length of a 3D normal vector
    assert errors.position.mean() == pytest.approx(expected, rel=0.1)
    assert errors.rotation_deg.mean() < 0.5


def test_errors_do_not_depend_on_the_estimates_own_frame():
    true, random = poses(60), np.random.default_rng(2)
    noisy = true.copy()
    noisy[:, :3, 3] += random.normal(size=(60, 3)) * 0.02
    one, other = (
        compare_cameras(moved(similarity(seed, scale), noisy), true)
        for seed, scale in ((1, 0.01), (2, 40.0))
    )
    np.testing.assert_allclose(one.position, other.position, atol=1e-9)
    np.testing.assert_allclose(one.rotation_deg, other.rotation_deg, atol=1e-4)


def test_a_turned_camera_shows_in_degrees():
    true = poses()
    estimated = true.copy()
    estimated[4, :3, :3] = true[4, :3, :3] @ Rotation.from_euler("x", 12, degrees=True).as_matrix()
    errors = compare_cameras(estimated, true)
    assert errors.rotation_deg[4] == pytest.approx(12, abs=1e-4)
    assert np.delete(errors.rotation_deg, 4).max() < 1e-4


def test_too_few_positions_are_refused():
    with pytest.raises(BadInput):
        fit_similarity(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(BadInput):
        fit_similarity(np.ones((9, 3)), poses(9)[:, :3, 3])
