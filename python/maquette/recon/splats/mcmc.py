"""Gaussians as samples of a distribution: the dead are moved, the number grows up to a cap.

Source: Kheradmand et al., "3D Gaussian splatting as Markov chain Monte Carlo", 2024. Differs: new
ones are drawn where the picture is wrong (Mallick et al., "Taming 3DGS", 2024, have such a
score), and noise ends with growth.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels import updating
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.projection import rotation_matrices
from maquette.recon.splats.relocation import MOST_COPIES, shared_out
from maquette.recon.splats.renderings import Footprints
from maquette.recon.splats.schedule import Schedule
from maquette.recon.training.process_group import ProcessGroup

_DEAD = 0.005  # opacity
_GROWTH = 1.05
_NOISE = 5e5
_OPACITY_WEIGHT = _SCALE_WEIGHT = 0.01
_MOST_OPACITY = 1.0 - 1e-6


class MarkovChain:
    """The default strategy: memory and file size are known beforehand.

    Attributes:
        score: [N] how much of what is wrong each Gaussian covered, in all processes together.
    """

    def __init__(
        self, schedule: Schedule, count: int, generator: torch.Generator,
        processes: ProcessGroup | None = None,
    ) -> None:  # fmt: skip
        self.schedule, self.generator = schedule, generator
        self.processes = processes or ProcessGroup()
        self.score = torch.zeros(count, device=generator.device)
        self._noted = torch.zeros_like(self.score)

    def gradients(self, splats: Gaussians, found: dict[str, Tensor]) -> None:
        """Let opacity and size shrink a little wherever the picture does not ask for them."""
        count = max(1, len(splats))
        opacity = splats.opacities
        found["opacity_logits"] += _OPACITY_WEIGHT / count * opacity * (1 - opacity)
        found["log_scales"] += _SCALE_WEIGHT / (3 * count * self.schedule.extent) * splats.scales

    def look(self, footprints: Footprints) -> None:
        if footprints.sums is not None:
            self._noted += torch.where(footprints.visible, footprints.sums[:, 10], 0.0)

    def after_step(
        self, splats: Gaussians, optimiser: SparseAdam, photos: int, rate: float
    ) -> Gaussians:
        self.processes.add(self._noted)
        self.score += self._noted
        if self.schedule.grows(photos):
            self.processes.share([*(tensor for _, tensor in splats.tensors()), self.score])
            splats = self._move_dead(splats, optimiser)
            splats = self._grow(splats, optimiser)
            self.score = torch.zeros(len(splats), device=splats.device)
        self._noted = torch.zeros_like(self.score)
        if self.schedule.is_moving(photos):
            noise = torch.randn(splats.means.shape, generator=self.generator, device=splats.device)
            jitter(splats, noise, _NOISE * rate)
        return splats

    def _move_dead(self, splats: Gaussians, optimiser: SparseAdam) -> Gaussians:
        is_dead = splats.opacities <= _DEAD
        dead, alive = torch.nonzero(is_dead)[:, 0], torch.nonzero(~is_dead)[:, 0]
        if not len(dead) or not len(alive):
            return splats
        drawn = alive[self._draw(splats.opacities[alive], len(dead))]
        share_out(splats, optimiser, drawn)
        for _, tensor in splats.tensors():
            tensor[dead] = tensor[drawn]
        optimiser.reset(dead)
        return splats

    def _grow(self, splats: Gaussians, optimiser: SparseAdam) -> Gaussians:
        cap = self.schedule.options.cap
        added = min(cap, int(_GROWTH * len(splats)) + 1) - len(splats)
        if added <= 0:
            return splats
        drawn = self._draw(self.score + 1e-12, added)
        share_out(splats, optimiser, drawn)
        optimiser.extend(added)
        return Gaussians.joined([splats, splats.chosen(drawn)])

    def _draw(self, weights: Tensor, count: int) -> Tensor:
        """Rows [count], drawn in proportion to weights, with replacement; the leader draws."""
        total = torch.cumsum(weights.double(), 0)
        at = torch.rand(count, generator=self.generator, device=weights.device).double()
        drawn = torch.searchsorted(total, at * total[-1]).clamp(max=len(weights) - 1)
        self.processes.share([drawn])  # sums along a GPU do not repeat to the last bit
        return drawn

    def choose(self, rows: Tensor) -> None:
        self.score, self._noted = self.score[rows], self._noted[rows]

    def state(self) -> dict[str, Any]:
        return {"score": self.score.clone()}

    def restore(self, state: dict[str, Any]) -> None:
        self.score = state["score"].to(self.generator.device).clone()
        self._noted = torch.zeros_like(self.score)


def share_out(splats: Gaussians, optimiser: SparseAdam, drawn: Tensor) -> None:
    """Make room for one copy of a Gaussian each time that it was drawn, in place."""
    sources, times = torch.unique(drawn, return_counts=True)
    copies = (times + 1).clamp(max=MOST_COPIES)
    opacity, factor = shared_out(splats.opacities[sources], copies)
    opacity = opacity.clamp(_DEAD, _MOST_OPACITY)
    splats.opacity_logits[sources] = torch.logit(opacity)
    splats.log_scales[sources] += factor.log()[:, None]
    optimiser.reset(sources)


def jitter(splats: Gaussians, noise: Tensor, factor: float) -> None:
    """Move transparent Gaussians at random within their own shape, in place."""
    over_items(
        updating.jitter, len(splats), splats.device,
        [factor, *(array(tensor.reshape(-1)) for tensor in (
            splats.log_scales, splats.quaternions, splats.opacity_logits, noise, splats.means))],
    )  # fmt: skip


def jitter_reference(splats: Gaussians, noise: Tensor, factor: float) -> Tensor:
    """The means afterwards, in plain PyTorch."""
    axes = rotation_matrices(splats.quaternions) * splats.scales[:, None, :]
    moved = (axes @ (axes.transpose(1, 2) @ noise[..., None]))[..., 0]
    share = torch.sigmoid(-100.0 * (splats.opacities - _DEAD)) * factor
    return splats.means + moved * share[:, None]
