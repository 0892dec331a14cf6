"""Sparse points: read from a COLMAP model, and asking of the field what they should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maquette.errors import BadInput
from maquette.recon.surface import sparse_points
from maquette.recon.training.draws import Draws
from maquette.scene import transforms
from maquette.scene.region import Region
from synthetic_scene import signed_distance, write_landmarks, write_posed_scene

CPU = torch.device("cpu")


def test_true_surface_satisfies_the_points_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 12, 32, 24)
    cameras = transforms.read(scene.transforms)
    assert sparse_points.read(scene, cameras.frames, cameras.region, CPU) is None
    write_landmarks(scene, 600, noise=0.0)
    found = sparse_points.read(scene, cameras.frames, cameras.region, CPU)
    assert found is not None and len(found.points) > 500
    assert float(found.points.norm(dim=1).max()) < 1.0
    region = cameras.region

    def truth(points: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
        world = region.world_from_unit(points.numpy())
        ground = (world[:, 2] - signed_distance.__globals__["GROUND_Z"]) / region.radius
        body = torch.from_numpy(signed_distance(world) / region.radius)
        return torch.minimum(body, torch.from_numpy(ground)) + shift

    def loss(shift: float) -> float:
        draws = Draws(torch.Generator().manual_seed(0))
        return float(found.loss(lambda points: truth(points, shift), 2000, draws))

    assert loss(0.0) < 0.003
    assert loss(0.05) > 10 * loss(0.0) and loss(-0.05) > 10 * loss(0.0)


def test_a_region_without_points_is_refused(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 12, 32, 24)
    write_landmarks(scene, 600, noise=0.0)
    cameras = transforms.read(scene.transforms)
    beside = Region.around([9.0, 9.0, 9.0], 0.5)
    with pytest.raises(BadInput, match="holds none of the"):
        sparse_points.read(scene, cameras.frames, beside, CPU)
