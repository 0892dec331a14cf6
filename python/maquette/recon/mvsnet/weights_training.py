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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maquette.recon import gpus
from maquette.recon.mvsnet import networks, weights, weights_losses
from maquette.recon.mvsnet.generated.pool import PooledScenes
from maquette.recon.mvsnet.generated.prefetching import samples
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.samples import Batch, Sample
from maquette.scene.atomic import replacing, write_json

VARIANT = "cascade"
_LOG_EVERY, _SAVE_S = 20, 60.0
_WARM_UP, _LAST_RATE = 0.05, 0.01  # of the steps; of the largest rate
_CLIP, _AVERAGED = 1.0, 0.999


@dataclass(frozen=True)
class Course:
    """What decides the weights.

    Attributes:
        seed: Of the first weights and of the scenes.
        steps: Of the whole course: the learning rate has fallen to its end by then.
        size: Width and height of the pictures.
        reuse: Samples for each scene of a pool, on average.
        has_bfloat16: Convolutions compute with 16 bits.
    """

    seed: int = 0
    steps: int = 20_000
    batch: int = 1
    views: int = 3
    size: tuple[int, int] = (160, 128)
    rate: float = 1e-3
    reuse: int = 16
    has_bfloat16: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Train for some minutes, or export."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.pool and arguments.workers:
        parser.error("--workers lays out scenes for a GPU; those of --pool are laid out once")
    course = Course(
        arguments.seed, arguments.steps, arguments.batch, arguments.views, tuple(arguments.size),
        arguments.rate, arguments.reuse, arguments.bfloat16,
    )  # fmt: skip
    device = gpus.device_of(arguments.gpus)
    training = Training(course, arguments.out, device, arguments.workers, arguments.pool)
    training.run(60 * arguments.minutes)
    if arguments.export:
        training.export(arguments.export)
    return 0


class Training:
    """A course of training with its state in a folder."""

    def __init__(
        self, course: Course, folder: Path, device: torch.device, workers: int = 0,
        pool: Path | None = None,
    ) -> None:  # fmt: skip
        self.course, self.folder, self._device = course, folder, device
        self._workers, self._pool = workers, pool
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
        coming = self._coming()
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

    def _coming(self) -> Iterator[Sample]:
        course, first = self.course, self.step * self.course.batch
        if self._pool:
            pool = PooledScenes(self._pool, course.size, course.views, course.reuse)
            return (pool[index, course.seed] for index in count(first))
        source = GeneratedScenes(course.size, course.views, device=self._device)
        return samples(source, course.seed, first, self._workers)

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
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.course.has_bfloat16):
            found = self.network(batch.images, batch.projections, batch.depth_range)
        loss = weights_losses.loss(found, batch)
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
    parser.add_argument("--bfloat16", action="store_true", help="convolutions with 16 bits")
    parser.add_argument("--pool", type=Path, help="keep scenes there, and show each several times")
    parser.add_argument(
        "--reuse", type=int, default=course.reuse, help="samples for each scene of the pool"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that lay scenes out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
