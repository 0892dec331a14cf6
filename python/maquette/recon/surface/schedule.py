"""What changes during training: learning rate, active levels, sharpness, shape or colours only.

All are functions of the iteration and of `max_iter`; nothing here has state, so a resumed run
follows the same path. Neuralangelo (arXiv:2306.03092) section 3.2 introduces the levels.
"""

from __future__ import annotations

from dataclasses import dataclass

from maquette.counting import counted
from maquette.recon.surface.config import REFERENCE_ITERATIONS, TrainingConfig

_LAST_RATE = 0.03  # of the learning rate, when colours are finished


@dataclass(frozen=True)
class Schedule:
    """The configuration's schedule for a run of `max_iter` iterations.

    Attributes:
        is_held: Points show all of the surface.
    """

    config: TrainingConfig
    is_held: bool = False

    @property
    def shape_iterations(self) -> int:
        """How many iterations change the shape; the others only finish the colours."""
        sched = self.config.optim.sched
        share = sched.shape_share * (sched.held_shape_share if self.is_held else 1.0)
        return max(1, round(self.config.max_iter * share))

    @property
    def scale(self) -> float:
        """Iterations that change the shape per iteration of REFERENCE_ITERATIONS."""
        return self.shape_iterations / REFERENCE_ITERATIONS

    def shape_stands(self, iteration: int) -> bool:
        """Whether an iteration (0-based) leaves the shape as it is."""
        return iteration >= self.shape_iterations

    def active_levels(self, iteration: int) -> int:
        """How many encoding levels count at an iteration (0-based)."""
        encoding = self.config.model.object.sdf.encoding
        growth = encoding.coarse2fine
        if not growth.enabled:
            return encoding.levels
        step = max(growth.step * self.scale, 1e-9)
        return int(min(encoding.levels, growth.init_active_level + iteration // step))

    def rate(self, iteration: int) -> float:
        """Factor on the learning rates: linear warm-up, then divided by gamma twice.

        Colours then begin once more at the full rate, which falls exponentially.
        """
        sched = self.config.optim.sched
        if self.shape_stands(iteration):
            finishing = max(self.config.max_iter - self.shape_iterations, 1)
            return float(_LAST_RATE ** ((iteration - self.shape_iterations) / finishing))
        warm_up = sched.warm_up_end * self.scale
        if iteration < warm_up:
            return (iteration + 1) / (warm_up + 1)
        steps = sum(iteration >= step * self.scale for step in sched.two_steps)
        return float(sched.gamma**-steps)

    def sharpness_floor(self, iteration: int, guided: bool = True) -> float:
        """The least value of the sharpness parameter at an iteration.

        Args:
            guided: sparse points made the surface; without them it must stay soft for longer,
                because a sharp one no longer finds its way.
        """
        sharp = self.config.model.object.s_var
        if sharp.anneal_end <= 0:
            return 0.0
        progress = min(iteration / (sharp.anneal_end * self.scale), 1.0)
        share = progress if guided else progress**3
        return sharp.init_val + (sharp.final_val - sharp.init_val) * share

    def freedom(self, iteration: int) -> float:
        """How much colours may move a surface that sparse points made; grows in the first tenth.

        Until the colour network knows something, its errors say nothing about the surface.
        """
        return min(1.0, iteration / (0.1 * self.shape_iterations))

    def describe(self) -> str:
        """The scaled schedule in one sentence."""
        sched, growth = self.config.optim.sched, self.config.model.object.sdf.encoding
        start = min(growth.coarse2fine.init_active_level, growth.levels)
        steps = growth.levels - start if growth.coarse2fine.enabled else 0
        all_active = steps * growth.coarse2fine.step * self.scale
        first, second = (round(step * self.scale) for step in sched.two_steps)
        stands = self.shape_iterations < self.config.max_iter
        rest = f", colours only from {self.shape_iterations}" if stands else ""
        return (
            f"schedule for {counted(self.config.max_iter, 'iteration')}: warm-up until "
            f"{round(sched.warm_up_end * self.scale)}, all {growth.levels} levels from "
            f"{round(all_active)}, rate falls at {first} and {second}{rest}"
        )
