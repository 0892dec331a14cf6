"""The smallest method that trains: a line through points, by gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from maquette.recon.training import failures
from maquette.recon.training.draws import Draws
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.random_state import random_state, restore_random_state
from maquette.recon.training.trainable import Method, Metrics

TRUTH = (0.5, -1.5)  # offset and slope
LOWER_RATE = "OVERRIDES='rate=0.01'"


class Line:
    """Offset and slope, fitted to noisy points that are drawn anew for each step."""

    metric_names = ("loss", "psnr")

    def __init__(
        self, total: int, processes: ProcessGroup, rate: float = 0.05, batch: int = 8
    ) -> None:
        self.iteration, self.total, self.batch = 0, total, batch
        self.device = torch.device("cpu")
        self.processes = processes
        self.weights = torch.zeros(2, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weights], lr=rate)
        self.sampler = torch.Generator().manual_seed(7)
        self.draws = Draws(self.sampler, processes.rank, processes.world)
        self.prepared = False

    def prepare(self) -> None:
        self.prepared = True

    def step(self) -> Metrics:
        x = self.draws.uniform(self.batch, 1)[:, 0]  # [batch]
        y = TRUTH[0] + TRUTH[1] * x + 0.1 * self.draws.normal(self.batch, 1)[:, 0]
        loss = self.processes.mean((self.weights[0] + self.weights[1] * x - y) ** 2)
        if not torch.isfinite(loss):
            raise failures.diverged(self.iteration, LOWER_RATE)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients([self.weights])
        self.optimizer.step()
        self.iteration += 1
        found = loss.detach()
        values = torch.stack([found, -10 * torch.log10(found)])
        return Metrics(self.iteration, values, {"lr": self.optimizer.param_groups[0]["lr"]})

    def state(self) -> dict[str, Any]:
        return {
            "model": {"weights": self.weights.detach().clone()},
            "optim": self.optimizer.state_dict(),
            "random": random_state(self.sampler),
            "batch": self.batch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.weights.copy_(state["model"]["weights"])
        self.optimizer.load_state_dict(state["optim"])
        restore_random_state(state["random"], self.sampler)
        self.iteration, self.batch = state["iteration"], state["batch"]

    def shared_tensors(self) -> Iterable[torch.Tensor]:
        return [self.weights.detach()]

    def sentences(self) -> Sequence[str]:
        return [f"a line by {self.batch} points an iteration"]

    def settings(self) -> dict[str, Any]:
        return {"max_iter": self.total, "optim": {"rate": self.optimizer.defaults["lr"]}}

    def preview(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"iteration_{self.iteration:09}.txt"
        path.write_text(str(self.weights.tolist()))
        return [path]

    def held_out(self) -> dict[str, float]:
        return {"error": math.dist(self.weights.tolist(), TRUTH)}

    def shrink(self) -> str | None:
        if self.batch == 1:
            return None
        self.batch //= 2
        return f"{self.batch} points an iteration, not {2 * self.batch}"

    def is_finite(self) -> bool:
        return bool(torch.isfinite(self.weights).all())


def _build(
    arguments: Mapping[str, Any], processes: ProcessGroup, state: dict[str, Any] | None
) -> Line:
    return Line(processes=processes, **arguments)


METHOD = Method("tiny_trainable", "line 1", _build, LOWER_RATE, "try BATCH=1")
