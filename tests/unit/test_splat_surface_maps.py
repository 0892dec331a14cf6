"""Surface maps of Gaussians: depth and normals of planes that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.surface_maps import surface_map
from maquette.recon.splats.turning import quaternion_of
from maquette.scene.transforms import Frame, Intrinsics

SIDE, FOCAL = 64, 80.0
FRAME = Frame("a.jpg", np.eye(4), Intrinsics(SIDE, SIDE, FOCAL, FOCAL, SIDE / 2, SIDE / 2))


def tilt(degrees: float) -> np.ndarray:
    """A turn about y, so that the plane z = 0 recedes to the right or left."""
    a = np.radians(degrees)
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


def plane_of_splats(rotation: np.ndarray, distance: float = 4.0, count: int = 17) -> Gaussians:
    """Flat, opaque Gaussians on a plane through (0, 0, distance), so many along each side."""
    steps = np.linspace(-2.4, 2.4, count)
    across = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    flat = np.concatenate([across, np.zeros((len(across), 1))], axis=1)
    means = torch.from_numpy(flat @ rotation.T + [0, 0, distance]).float()
    return Gaussians(
        means, torch.tensor([[4.25 / count, 4.25 / count, 1e-4]]).log().repeat(len(means), 1),
        quaternion_of(rotation)[None].repeat(len(means), 1), torch.full((len(means),), 4.0),
        torch.full((len(means), 1, 3), 0.5),
    )  # fmt: skip


@pytest.mark.parametrize("degrees", [0.0, 30.0, -50.0])
def test_depth_and_normal_are_those_of_the_plane(degrees: float) -> None:
    rotation = tilt(degrees)
    found = surface_map(plane_of_splats(rotation), FRAME)
    normal = rotation[:, 2] * -np.sign(rotation[2, 2])
    pixels = (np.arange(SIDE) + 0.5 - SIDE / 2) / FOCAL
    x, y = np.meshgrid(pixels, pixels)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    true = 4.0 * normal[2] / (rays @ normal)
    middle = (slice(12, -12), slice(12, -12))
    assert (found.depth[middle] > 0).all()
    assert np.abs(found.depth / true - 1)[middle].max() < 0.003
    assert (found.normals[middle] @ normal).min() > 0.999
    assert np.allclose(found.color[middle], 0.5 + 0.28209 * 0.5, atol=0.01)


def test_empty_pixels_and_those_between_near_and_far_have_no_depth() -> None:
    near, far = plane_of_splats(np.eye(3), 2.0, 65), plane_of_splats(np.eye(3), 6.0, 65)
    left = near.chosen(near.means[:, 0] < -0.2)
    found = surface_map(Gaussians.joined([left, far]), FRAME)
    row = found.depth[SIDE // 2]
    told = row[row > 0]
    assert ((np.abs(told - 2) < 0.1) | (np.abs(told - 6) < 0.1)).mean() > 0.9
    assert (row == 0).any() and len(told) > SIDE / 2
    alone = surface_map(left, FRAME)
    assert (alone.depth[:, -SIDE // 4 :] == 0).all()
