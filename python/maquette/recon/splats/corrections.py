"""What is learned besides the Gaussians: the sky, exposures, and better poses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.schedule import Rates

_SKY_RATE = 2.5e-3


class Corrections:
    """Small parameters of a run, with an optimiser of their own.

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
        learned = [
            {"params": [t], "name": name} for name, t in self._all.items() if t.requires_grad
        ]
        self._optimizer = torch.optim.Adam(learned, eps=1e-15) if learned else None

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
        if view is None or not self.options.exposure:
            return color
        change = self.exposures[view]
        return color + torch.einsum("ij,jhw->ihw", change[:, :3], color) + change[:, 3, None, None]

    def step(self, rates: Rates) -> None:
        """One step along the gradients that were found; they are gone afterwards."""
        if self._optimizer is None:
            return
        by_name = {"sky": _SKY_RATE, "exposures": rates.exposure, "poses": rates.poses}
        for group in self._optimizer.param_groups:
            group["lr"] = by_name[group["name"]]
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():  # all photographs brighter is not what exposure is for
            if self.options.exposure:
                self.exposures -= self.exposures.mean(0)

    def state(self) -> dict[str, Any]:
        optimizer = self._optimizer.state_dict() if self._optimizer else {}
        values = {name: tensor.detach().clone() for name, tensor in self._all.items()}
        return {"values": values, "optimizer": copied(optimizer)}

    def restore(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, tensor in self._all.items():
                tensor.copy_(state["values"][name])
        if self._optimizer:
            self._optimizer.load_state_dict(copied(state["optimizer"]))


def copied(value: Any) -> Any:
    """The same mappings and lists with tensors that share no memory."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(part) for part in value]
    return value


def _cross(axis: Tensor) -> Tensor:
    """The matrix [3, 3] whose product with a vector is the cross product with it."""
    x, y, z = axis.unbind()
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows).view(3, 3)
