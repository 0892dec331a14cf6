"""Gaussians that are to lie in the surface that their depths draw."""

from __future__ import annotations

import math

import pytest
import torch

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels.checks import camera_before
from maquette.recon.splats.normals import normal_loss
from maquette.recon.splats.rasteriser import render

CPU = torch.device("cpu")


def flat_wall(turn: float) -> Gaussians:
    """Flat Gaussians in the plane z = 3, each turned about its x axis, radians."""
    across = torch.linspace(-1.5, 1.5, 12)
    places = torch.cartesian_prod(across, across)
    count = len(places)
    scales = torch.tensor([0.15, 0.15, 0.01]).log().expand(count, 3).contiguous()
    half = torch.tensor([math.cos(turn / 2), math.sin(turn / 2), 0.0, 0.0])
    return Gaussians(
        torch.cat([places, torch.full((count, 1), 3.0)], dim=1), scales,
        half.expand(count, 4).contiguous(), torch.full((count,), 3.0), torch.zeros(count, 1, 3),
    )  # fmt: skip


def test_normals_pull_turned_gaussians_into_their_wall() -> None:
    camera = camera_before(48, 48, CPU)

    def loss_of(splats: Gaussians) -> torch.Tensor:
        return normal_loss(splats, render(splats, camera), camera, True)

    assert loss_of(flat_wall(0.0)).item() < 0.03
    tilted = flat_wall(0.5)
    assert loss_of(tilted).item() == pytest.approx(1 - math.cos(0.5), rel=0.3)
    inputs = {name: tensor.requires_grad_() for name, tensor in tilted.tensors()}
    loss = loss_of(Gaussians(**inputs))
    torch.autograd.backward(loss)
    slope = inputs["quaternions"].grad
    assert slope is not None
    better = {n: t.detach() - (5.0 * slope if n == "quaternions" else 0) for n, t in inputs.items()}
    assert loss_of(Gaussians(**better)).item() < 0.9 * loss.item()
