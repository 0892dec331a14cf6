"""What is learned besides the Gaussians: the sky, exposures, and better poses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.optimiser import betas_of
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.schedule import Rates

_EPS = 1e-15
# Powers of 1 / 1.2207…, the root of x⁴ = x + 1: multiples of them fill the cube of colours evenly.
_UNLIKE = (0.8191725134, 0.6710436067, 0.5497004779)


class Corrections:
    """Small parameters of a run, with moments of Adam of their own.

    Attributes:
        sky: [3] sRGB, what lies behind all Gaussians.
        exposures: [V, 3, 4] affine change of the colours of each photograph, beside the identity.
        poses: [V, 6] turn (axis · angle) and shift of each camera, in its own frame; the shift
            in world units.
    """

    def __init__(self, options: SplatOptions, views: int, device: torch.device) -> None:
        self.options = options
        self.sky = torch.zeros(3, device=device, requires_grad=options.background == "sky")
        self.exposures = torch.zeros(views, 3, 4, device=device, requires_grad=options.exposure)
        self.poses = torch.zeros(views, 6, device=device, requires_grad=options.refine_poses)
        self._all = {"sky": self.sky, "exposures": self.exposures, "poses": self.poses}
        self._moments = {
            name: (torch.zeros_like(tensor), torch.zeros_like(tensor))
            for name, tensor in self._all.items()
            if tensor.requires_grad
        }
        self._steps = 0

    @property
    def values(self) -> list[Tensor]:
        """All of them, without their gradients."""
        return [tensor.detach() for tensor in self._all.values()]

    @property
    def learned(self) -> list[Tensor]:
        """Those that training changes."""
        return [self._all[name] for name in self._moments]

    def camera(self, camera: Camera, view: int) -> Camera:
        """The camera of a training view, moved as far as was learned."""
        if not self.options.refine_poses:
            return camera
        turn, shift = self.poses[view, :3], self.poses[view, 3:]
        rotation = torch.linalg.matrix_exp(_cross(turn))
        return replace(
            camera, rotation=rotation @ camera.rotation,
            translation=rotation @ camera.translation + shift,
        )  # fmt: skip

    def color(self, color: Tensor, passing: Tensor, view: int | None) -> Tensor:
        """The picture [3, H, W] with its sky, in the exposure of a training view."""
        if self.options.background == "sky":
            color = color + passing * self.sky[:, None, None]
        if self.options.background == "ground" and view is not None:
            color = color + passing * self._another().to(color)[:, None, None]
        if view is None or not self.options.exposure:
            return color
        change = self.exposures[view]
        return color + torch.einsum("ij,jhw->ihw", change[:, :3], color) + change[:, 3, None, None]

    def _another(self) -> Tensor:
        """A colour [3] for this step, so that no hole passes for dark ground."""
        return torch.frac(self._steps * torch.tensor(_UNLIKE, dtype=torch.float64))

    @torch.no_grad()
    def step(self, rates: Rates) -> None:
        """One step of Adam along the gradients that were found; they are gone afterwards."""
        self._steps += 1
        by_name = {"sky": rates.sky, "exposures": rates.exposure, "poses": rates.poses}
        betas = betas_of(self.options.batch)
        start = 1 - betas[0] ** self._steps, 1 - betas[1] ** self._steps
        for name, (mean, square) in self._moments.items():
            value = self._all[name]
            if value.grad is None:
                continue
            mean.lerp_(value.grad, 1 - betas[0])
            square.lerp_(value.grad.square(), 1 - betas[1])
            value -= by_name[name] / start[0] * mean / ((square / start[1]).sqrt() + _EPS)
            value.grad = None
        if self.options.exposure:  # all photographs brighter is not what exposure is for
            self.exposures -= self.exposures.mean(0)

    def state(self) -> dict[str, Any]:
        """All that the coming steps depend on."""
        moments = {n: [part.clone() for part in pair] for n, pair in self._moments.items()}
        values = {name: tensor.detach().clone() for name, tensor in self._all.items()}
        return {"values": values, "moments": moments, "steps": self._steps}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._steps = int(state["steps"])
        for name, tensor in self._all.items():
            tensor.copy_(state["values"][name])
        for name, pair in self._moments.items():
            for part, saved in zip(pair, state["moments"][name], strict=True):
                part.copy_(saved)


def _cross(axis: Tensor) -> Tensor:
    """The matrix [3, 3] whose product with a vector is the cross product with it."""
    x, y, z = axis.unbind()
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows).view(3, 3)
