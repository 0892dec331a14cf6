"""Densification by screen gradients: Gaussians that are pulled about are cloned or split.

Source: Kerbl et al., 2023, section 5.2. Differs: opacities decay a little at every round in place
of a reset that shocks the picture (as in Liao et al., "LiteGS", 2025), and the cap holds here too.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.projection import rotation_matrices
from maquette.recon.splats.renderings import Footprints
from maquette.recon.splats.schedule import Schedule
from maquette.recon.training.process_group import ProcessGroup

_PULLED = 2e-4  # gradient by half a picture
_SMALL = 0.01  # of the extent: what is larger is split
_SPLIT = 1.6  # by which the parts are smaller
_DEAD = 0.005
_DECAY = 0.99
_MOST_OPACITY = 1.0 - 1e-6


class Classic:
    """The number of Gaussians follows from the picture; the cap only ends it."""

    def __init__(
        self, schedule: Schedule, count: int, generator: torch.Generator,
        processes: ProcessGroup | None = None,
    ) -> None:  # fmt: skip
        self.schedule, self.generator = schedule, generator
        self.processes = processes or ProcessGroup()
        self._begin(count)

    def _begin(self, count: int) -> None:
        self.pull, self.seen = torch.zeros(2, count, device=self.generator.device)
        self._noted = torch.zeros(2, count, device=self.generator.device)  # pull, seen

    def gradients(self, splats: Gaussians, found: dict[str, Tensor]) -> None:
        """It has no wishes."""

    def look(self, footprints: Footprints) -> None:
        if footprints.sums is not None:
            half = footprints.sums.new_tensor(footprints.size) / 2.0
            pull = (footprints.sums[:, :2] * half).norm(dim=1)
            self._noted[0] += torch.where(footprints.visible, pull, 0.0)
            self._noted[1] += footprints.visible

    def after_step(
        self, splats: Gaussians, optimiser: SparseAdam, photos: int, rate: float
    ) -> Gaussians:
        self.processes.add(self._noted)
        self.pull += self._noted[0]
        self.seen += self._noted[1]
        self._noted = torch.zeros_like(self._noted)
        if not self.schedule.grows(photos):
            return splats
        shared = (*(tensor for _, tensor in splats.tensors()), self.pull, self.seen)
        self.processes.share(shared)
        splats = self._densify(splats, optimiser)
        opacity = (splats.opacities * _DECAY).clamp(max=_MOST_OPACITY)
        splats.opacity_logits.copy_(torch.logit(opacity))
        alive = opacity > _DEAD
        if alive.any() and not alive.all():
            optimiser.choose(alive)
            splats = splats.chosen(alive)
        self._begin(len(splats))
        return splats

    def _densify(self, splats: Gaussians, optimiser: SparseAdam) -> Gaussians:
        """Add a Gaussian for each that is pulled most, as far as the cap allows."""
        mean = self.pull / self.seen.clamp(min=1.0)
        room = max(0, self.schedule.options.cap - len(splats))
        count = min(room, int((mean > _PULLED).sum()))
        if not count:
            return splats
        chosen = torch.topk(mean, count).indices.sort().values
        self.processes.share([chosen])  # among equals a GPU may choose others
        large = splats.scales[chosen].amax(1) > _SMALL * self.schedule.extent
        new = splats.chosen(chosen)
        parts = chosen[large]
        splats.log_scales[parts] -= math.log(_SPLIT)
        new.log_scales[large] -= math.log(_SPLIT)
        centers, axes = splats.means[parts].clone(), self._axes(splats, parts)
        splats.means[parts] = centers + self._drawn(axes)
        new.means[large] = centers + self._drawn(axes)
        optimiser.reset(parts)
        optimiser.extend(count)
        return Gaussians.joined([splats, new])

    def _axes(self, splats: Gaussians, rows: Tensor) -> Tensor:
        """Axes of Gaussians that were made smaller, in their former length; [M, 3, 3]."""
        part = splats.chosen(rows)
        return rotation_matrices(part.quaternions) * (_SPLIT * part.scales)[:, None, :]

    def _drawn(self, axes: Tensor) -> Tensor:
        noise = torch.randn(len(axes), 3, 1, generator=self.generator, device=axes.device)
        return (axes @ noise)[..., 0]

    def choose(self, rows: Tensor) -> None:
        self.pull, self.seen = self.pull[rows], self.seen[rows]
        self._noted = self._noted[:, rows]

    def state(self) -> dict[str, Any]:
        return {"pull": self.pull.clone(), "seen": self.seen.clone()}

    def restore(self, state: dict[str, Any]) -> None:
        device = self.generator.device
        self.pull, self.seen = (state[name].to(device).clone() for name in ("pull", "seen"))
        self._noted = torch.zeros(2, len(self.pull), device=device)
