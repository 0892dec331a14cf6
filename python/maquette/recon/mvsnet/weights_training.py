"""Train the weights that the package carries, on generated scenes alone.

    python -m maquette.recon.mvsnet.weights_training --out FOLDER --minutes 10 --batch 8
    python -m maquette.recon.mvsnet.weights_training --out FOLDER --minutes 0 --export cascade.pt

Its whole state is saved each minute, and the next run in that folder goes on from there, so that
short loans of a GPU add up. `log.jsonl` has a line for every few steps. --export writes the moving
average of the weights in half precision, and beside it, as JSON, how they came about.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maquette.recon import gpus
from maquette.recon.mvsnet import networks, weights
from maquette.recon.mvsnet.generated.prefetching import samples
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.samples import Batch
from maquette.scene.atomic import replacing, write_json

VARIANT = "cascade"
_LOG_EVERY, _SAVE_S = 20, 60.0
_WARM_UP, _LAST_RATE = 0.05, 0.01  # of the steps; of the largest rate
_STAGE_WEIGHTS = (0.5, 1.0, 2.0)
_UNITS = 128.0  # into which the range of inverse depths is cut: an error of one is a small one
_CLIP, _AVERAGED = 1.0, 0.999


@dataclass(frozen=True)
class Course:
    """What decides the weights.

    Attributes:
        seed: Of the first weights and of the scenes.
        steps: Of the whole course: the learning rate has fallen to its end by then.
        size: Width and height of the pictures.
    """

    seed: int = 0
    steps: int = 20_000
    batch: int = 1
    views: int = 3
    size: tuple[int, int] = (160, 128)
    rate: float = 1e-3


def main(argv: Sequence[str] | None = None) -> int:
    """Train for some minutes, or export."""
    arguments = _parser().parse_args(argv)
    course = Course(
        arguments.seed, arguments.steps, arguments.batch, arguments.views, tuple(arguments.size),
        arguments.rate,
    )  # fmt: skip
    device = gpus.device_of(arguments.gpus)
    training = Training(course, arguments.out, device, arguments.workers)
    training.run(60 * arguments.minutes)
    if arguments.export:
        training.export(arguments.export)
    return 0


class Training:
    """A course of training with its state in a folder."""

    def __init__(
        self, course: Course, folder: Path, device: torch.device, workers: int = 0
    ) -> None:
        self.course, self.folder, self._device, self._workers = course, folder, device, workers
        torch.manual_seed(course.seed)
        self.network = networks.build(VARIANT).to(device)
        self.average = {name: v.clone() for name, v in self.network.state_dict().items()}
        self._optimiser = torch.optim.AdamW(self.network.parameters(), course.rate)
        self.step, self.seconds, self.cpu_s = 0, 0.0, 0.0
        self.runs: list[dict[str, Any]] = []
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.is_file():
            self._restore(torch.load(self._file, map_location=device, weights_only=True))

    @property
    def _file(self) -> Path:
        return self.folder / "state.pt"

    def run(self, seconds: float, until: int | None = None) -> None:
        """Train until time is up or the course is done, or until a step of it."""
        end = self.course.steps if until is None else min(until, self.course.steps)
        source = GeneratedScenes(self.course.size, self.course.views, device=self._device)
        coming = samples(source, self.course.seed, self.step * self.course.batch, self._workers)
        begun = saved = time.monotonic()
        before, cpu_before = self.seconds, self.cpu_s - time.process_time()
        self.runs = [*self.runs, {}]
        self.network.train()
        while self.step < end and time.monotonic() - begun < seconds:
            batch = Batch.stacked(list(islice(coming, self.course.batch)), self._device)
            told = self._one_step(batch)
            self.seconds = before + time.monotonic() - begun
            self.cpu_s = cpu_before + time.process_time()
            self.runs[-1] = {**asdict(self.course), "until": self.step}
            if self.step % _LOG_EVERY == 0:
                self._log(told)
            if time.monotonic() - saved > _SAVE_S:
                saved = time.monotonic()
                self._save()
        self._save()

    def export(self, path: Path) -> None:
        """Write the averaged weights, and how they came about: each run with its last step."""
        network = networks.build(VARIANT)
        network.load_state_dict(self.average)
        weights.save(path, network, VARIANT, NetworkOptions())
        write_json(path.with_suffix(".json"), {
            "licence": "Apache-2.0", "data": "generated scenes alone", "variant": VARIANT,
            "seed": self.course.seed, "steps": self.step, "cpu_or_gpu": self._device.type,
            "wall_s": round(self.seconds), "cpu_s": round(self.cpu_s),
            "runs": [*filter(None, self.runs)],
            "command": "python -m maquette.recon.mvsnet.weights_training",
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "torch": torch.__version__,
        })  # fmt: skip

    def _one_step(self, batch: Batch) -> dict[str, Tensor]:
        for group in self._optimiser.param_groups:
            group["lr"] = self.course.rate * rate_factor(self.step, self.course.steps)
        found = self.network(batch.images, batch.projections, batch.depth_range)
        loss = stage_losses(found.stages, batch)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        if torch.isfinite(norm):
            self._optimiser.step()
        self.step += 1
        self._follow()
        wrong = (found.depth.detach() - batch.depth).abs() / batch.depth.clamp(min=1e-9)
        wrong = wrong[batch.mask]
        return {"loss": loss.detach(), "within_1_percent": (wrong < 0.01).float().mean(),
                "within_5_percent": (wrong < 0.05).float().mean()}  # fmt: skip

    def _follow(self) -> None:
        """Draw the moving average after the weights; it forgets quickly at first."""
        share = 1 - min(_AVERAGED, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, share)
            else:
                self.average[name].copy_(value)

    def _log(self, told: dict[str, Tensor]) -> None:
        line: dict[str, Any] = {"step": self.step, "seconds": round(self.seconds, 1)}
        line |= {name: round(float(value), 4) for name, value in told.items()}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(), "average": self.average,
            "optimiser": self._optimiser.state_dict(), "step": self.step, "seconds": self.seconds,
            "seed": self.course.seed, "cpu_s": self.cpu_s, "runs": [*filter(None, self.runs)],
        }  # fmt: skip
        with replacing(self._file) as temporary:
            torch.save(state, temporary)

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.cpu_s, self.runs = state.get("cpu_s", 0.0), state.get("runs", [])
        self.course = replace(self.course, seed=state["seed"])


def rate_factor(step: int, steps: int) -> float:
    """Of the largest learning rate: up in a line, then down along a cosine."""
    warm = max(1.0, _WARM_UP * steps)
    if step < warm:
        return (step + 1) / warm
    share = min(1.0, (step - warm) / max(1.0, steps - warm))
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def stage_losses(stages: Sequence[Tensor], batch: Batch) -> Tensor:
    """The smooth L1 error of every stage's inverse depth, where the depth is known.

    Inverse depths are counted in 1/128 of the range that is searched: a step that is about as
    large everywhere in the picture.
    """
    near, far = batch.depth_range[:, 0, None, None], batch.depth_range[:, 1, None, None]
    unit = (1 / near - 1 / far) / _UNITS
    total = torch.zeros((), device=batch.depth.device)
    for weight, depth in zip(_STAGE_WEIGHTS, stages, strict=True):
        stride = round(batch.depth.shape[1] / depth.shape[1])
        true, mask = batch.depth[:, ::stride, ::stride], batch.mask[:, ::stride, ::stride]
        off = (1 / depth - 1 / true.clamp(min=1e-9)) / unit
        losses = nn.functional.smooth_l1_loss(off, torch.zeros_like(off), reduction="none")
        total = total + weight * torch.where(mask, losses, 0.0).sum() / mask.sum().clamp(min=1)
    return total


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m maquette.recon.mvsnet.weights_training", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    course = Course()
    parser.add_argument("--out", type=Path, required=True, help="folder of the state and the log")
    parser.add_argument("--minutes", type=float, default=10.0, help="of this run")
    parser.add_argument("--export", type=Path, help="write the weights there")
    parser.add_argument("--seed", type=int, default=course.seed)
    parser.add_argument("--steps", type=int, default=course.steps, help="of the whole course")
    parser.add_argument("--batch", type=int, default=course.batch)
    parser.add_argument("--views", type=int, default=course.views)
    parser.add_argument("--size", type=int, nargs=2, default=course.size, metavar=("W", "H"))
    parser.add_argument("--rate", type=float, default=course.rate)
    parser.add_argument("--gpus", type=int, default=1, help="0: the processor alone")
    parser.add_argument("--workers", type=int, default=0, help="processes that lay scenes out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
