"""Rays: they meet the points they were cast through, and the unit sphere where they should."""

from __future__ import annotations

import numpy as np
import torch

from maquette.recon.geometry.rays import Cameras, pixel_centers, sphere_span
from synthetic_scene import orbit, region

CPU = torch.device("cpu")


def test_ray_through_a_projected_point_meets_it() -> None:
    frames, bounds = orbit(5, 64, 48), region()
    world = np.add(bounds.center, (0.3, -0.2, 0.1))
    cameras = Cameras.of(frames, bounds, CPU)
    for index, frame in enumerate(frames):
        local = np.linalg.inv(frame.world_from_cam) @ [*world, 1.0]
        u, v, w = frame.intrinsics.matrix() @ local[:3]
        pixel = torch.tensor([[u / w, v / w]], dtype=torch.float32)
        rays = cameras.rays(torch.tensor([index]), pixel)
        depth_unit = local[2] / bounds.radius
        met = rays.origins + rays.directions * (depth_unit / rays.cosines)[:, None]
        assert np.allclose(met[0].numpy(), bounds.unit_from_world(world), atol=1e-5)


def test_pixel_centers_run_row_by_row_from_half() -> None:
    centers = pixel_centers(3, 2, CPU)
    assert centers.tolist()[:4] == [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5]]


def test_sphere_span_from_outside_inside_and_missing() -> None:
    origins = torch.tensor([[-2.0, 0, 0], [0, 0, 0], [-2.0, 3, 0], [2.0, 0, 0]])
    directions = torch.tensor([[1.0, 0, 0]]).expand(4, 3)
    near, far = sphere_span(origins, directions)
    assert torch.allclose(near, torch.tensor([1.0, 0, 2, 0]))
    assert torch.allclose(far, torch.tensor([3.0, 1, 2, 0]))
