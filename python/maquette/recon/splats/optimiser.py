"""Adam for the Gaussians that a picture shows, and for no others."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels import updating
from maquette.recon.splats.schedule import Rates

_BETAS = 0.9, 0.999
_EPS = 1e-15
_LANES = 16


class SparseAdam:
    """Moments of every parameter of every Gaussian.

    Rows that are not visible keep their values and moments, as in Mallick et al., "Taming 3DGS",
    2024, section 4.3. Source of Adam: Kingma and Ba, 2015; differs: the correction of the start
    counts all iterations, not those in which a Gaussian was seen.

    Args:
        batch: Photographs of a step.

    Attributes:
        steps: Iterations done.
        moments: By parameter its mean gradient and mean squared gradient.
    """

    def __init__(self, splats: Gaussians, batch: int = 1) -> None:
        self.steps, self.betas = 0, betas_of(batch)
        self.moments = {
            name: (torch.zeros_like(tensor), torch.zeros_like(tensor))
            for name, tensor in splats.tensors()
        }

    def step(
        self, splats: Gaussians, gradients: dict[str, Tensor], touched: Tensor, rates: Rates
    ) -> None:
        """Change the Gaussians in place; `touched` [N] int32, 0 = not visible."""
        self.steps += 1
        for name, value in splats.tensors():
            rate = getattr(rates, name)
            if name == "sh" and value.shape[1] > 1:
                gradient, factor = gradients[name], rates.later_sh / rates.sh
                self._change(name, value, gradient, touched, rate, factor)
            else:
                self._change(name, value, gradients[name], touched, rate)

    def _change(
        self, name: str, value: Tensor, gradient: Tensor, touched: Tensor, rate: float,
        later: float = 1.0,
    ) -> None:  # fmt: skip
        """One parameter; coefficients after the first three of a row may be slower."""
        mean, square = self.moments[name]
        per_root = (1.0 - self.betas[1] ** self.steps) ** -0.5
        rate = rate / (1.0 - self.betas[0] ** self.steps)
        count, device = value.numel(), value.device
        width = count // max(1, len(value))
        items = count if device.type == "cuda" else -(-count // _LANES)
        over_items(
            updating.adam, items, device,
            [count, width, rate, later, *self.betas, _EPS, per_root, array(touched, wp.int32),
             *(array(tensor.reshape(-1)) for tensor in (gradient, value, mean, square))],
        )  # fmt: skip

    def reset(self, rows: Tensor) -> None:
        """Forget the moments of some Gaussians."""
        for mean, square in self.moments.values():
            mean[rows] = 0.0
            square[rows] = 0.0

    def choose(self, rows: Tensor) -> None:
        """Keep these rows only, in this order; by number or by a mask."""
        self.moments = {name: (m[rows], s[rows]) for name, (m, s) in self.moments.items()}

    def extend(self, count: int) -> None:
        """Add rows without moments."""
        for name, pair in self.moments.items():
            zeros = pair[0].new_zeros(count, *pair[0].shape[1:])
            self.moments[name] = (torch.cat([pair[0], zeros]), torch.cat([pair[1], zeros]))

    def widen(self, terms: int) -> None:
        """Let there be more coefficients of colour."""
        self.moments["sh"] = tuple(  # type: ignore[assignment]
            torch.nn.functional.pad(part, (0, 0, 0, terms - part.shape[1]))
            for part in self.moments["sh"]
        )

    def state(self) -> dict[str, Any]:
        """All that the coming steps depend on."""
        moments = {name: [part.clone() for part in pair] for name, pair in self.moments.items()}
        return {"steps": self.steps, "moments": moments}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        device = self.moments["means"][0].device
        self.steps = int(state["steps"])
        self.moments = {
            name: (mean.to(device).clone(), square.to(device).clone())
            for name, (mean, square) in state["moments"].items()
        }


def betas_of(batch: int) -> tuple[float, float]:
    """How much of the moments a step keeps: as much as steps of one photograph each together do.

    Source: Zhao et al., "On scaling up 3D Gaussian splatting training", 2024.
    """
    return _BETAS[0] ** batch, _BETAS[1] ** batch


def adam_reference(
    value: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, visible: Tensor, rate: float,
    steps: int,
) -> Tensor:  # fmt: skip
    """One step in plain PyTorch, moments changed in place; returns the new value."""
    mean[visible] += (1 - _BETAS[0]) * (gradient - mean)[visible]
    square[visible] += (1 - _BETAS[1]) * (gradient**2 - square)[visible]
    root = (square / (1 - _BETAS[1] ** steps)).sqrt() + _EPS
    moved = value - rate * mean / (1 - _BETAS[0] ** steps) / root
    shape = (-1, *[1] * (value.dim() - 1))
    return torch.where(visible.view(shape), moved, value)
