"""The Gaussians that training begins with: points, thinned or of the ground, and a far shell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.recon.splats.first import First, gaussians_at, shell, thinned
from maquette.recon.splats.ground import with_ground
from maquette.recon.splats.pictures import Pictures
from maquette.scene.paths import Scene
from splat_ring import frames_around

CPU = torch.device("cpu")


def test_points_become_round_gaussians_of_their_distance_and_colour() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    colors = np.full((64, 3), (255, 0, 102), np.uint8)
    found = gaussians_at(grid, colors, 1.0)
    assert found.scales == pytest.approx(1.0, abs=1e-5)
    assert found.base_colors.numpy() == pytest.approx(np.tile([1.0, 0.0, 0.4], (64, 1)), abs=1e-5)


def test_one_point_alone_is_a_gaussian_too() -> None:
    assert gaussians_at(np.zeros((1, 3)), np.zeros((1, 3), np.uint8), 1.0).is_finite()


def test_thinned_points_are_few_and_everywhere() -> None:
    draw = np.random.default_rng(0)
    points = np.concatenate([draw.random((20_000, 3)), 5 + draw.random((500, 3))])
    kept = thinned(points, 1000, seed=1)
    assert 500 < len(kept) <= 1000 and len(np.unique(kept)) == len(kept)
    assert (points[kept] > 4).all(1).sum() > 100  # a crowd elsewhere takes no places away


def test_a_shell_surrounds_the_cameras_without_gaps() -> None:
    found = shell(torch.zeros(3), 1.0, torch.full((3,), 0.5), 500)
    ways = torch.nn.functional.normalize(
        torch.randn(200, 3, generator=torch.Generator().manual_seed(1)), dim=1
    )
    near = (ways @ torch.nn.functional.normalize(found.means, dim=1).T).amax(1).clamp(max=1)
    assert (near.arccos() < found.scales[0, 0] / found.means.norm(dim=1)[0] * 1.5).all()


def test_ground_beside_all_points_gets_points_in_the_colour_of_its_photograph(
    tmp_path: Path,
) -> None:
    """Points end where the ground begins that only the lower half of each picture shows."""
    scene = Scene(tmp_path)
    frames = frames_around(scene, 3, 72)
    draw = np.random.default_rng(0)
    flat = np.concatenate([draw.uniform(-0.5, 0.5, (800, 2)), np.full((800, 1), -0.6)], axis=1)
    above = draw.uniform(-0.3, 0.3, (300, 3))
    points = np.concatenate([flat, above])
    found = First(points, np.zeros((1100, 3), np.uint8), "sparse")
    green = Image.new("RGB", (72, 72), (0, 200, 0))
    for frame in frames:
        green.save(tmp_path / frame.file_path)
    more = with_ground(found, Pictures(scene, frames, CPU), frames, 1.0)
    new, colors = more.points[1100:], more.colors[1100:]
    assert len(new) > 100 and (colors == (0, 200, 0)).all()
    assert new[:, 2] == pytest.approx(-0.6, abs=0.02)
    assert (np.abs(new[:, :2]).max(axis=1) > 0.5).mean() > 0.9
    scene.masks.mkdir()
    for frame in frames:
        Image.new("L", (72, 72)).save(scene.masks / Path(frame.file_path).name)
    assert len(with_ground(found, Pictures(scene, frames, CPU), frames, 1.0).points) == 1100
    lonely = First(above, np.zeros((300, 3), np.uint8), "sparse")
    assert len(with_ground(lonely, Pictures(scene, frames, CPU), frames, 1.0).points) == 300
