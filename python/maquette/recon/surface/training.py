"""Train a scene from its last checkpoint, or afresh, to the wanted iteration."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from maquette.errors import Interrupted, JobFailed
from maquette.recon.stopping import deferred, stop_requested
from maquette.recon.surface import landmarks, merging, previews, states
from maquette.recon.surface.dataset import PixelDataset, check, split
from maquette.recon.surface.settings import Settings
from maquette.recon.surface.trainer import Trainer
from maquette.scene import checkpoints, transforms
from maquette.scene.atomic import write_text
from maquette.scene.events import Progress
from maquette.scene.options import ProcessOptions
from maquette.scene.paths import Scene

METRICS = "metrics.jsonl"
_PREVIEW_AT = (0.25, 0.5, 1.0)
_MAX_THREADS = 16


def train(scene: Scene, options: ProcessOptions, progress: Progress) -> dict[str, float | int]:
    """Train the scene's surface to `options.iterations`, continuing what is there.

    Returns:
        iterations, psnr (last training batches), held_out_psnr, it_per_s, rays_per_s, seconds.

    Raises:
        ConfigError, BadInput: settings, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    settings = merging.merge(
        options.preset, scene.config, options.overrides, iterations=options.iterations
    )
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region)
    _use_threads()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept, held_out = split(cameras.frames)
    run = scene.run(options.group)
    if options.fresh:
        _set_aside(run, progress)
    state = _previous_state(run, options.checkpoint, progress)
    if state is not None:
        states.check_fits(state, cameras.region, settings, len(kept))
    size = settings.data.train.image_size
    dataset = PixelDataset(scene, kept, cameras.region, device, max(size) if size else None)
    points = landmarks.read(scene, cameras.frames, cameras.region, device)
    trainer = Trainer(settings, dataset, cameras.region, device, options.seed, points)
    _start(trainer, state, run, progress)
    shown = previews.Preview(scene, run, held_out or kept, settings, device)
    with deferred():
        loop = Loop(trainer, run, options.save_minutes, shown, progress)
        numbers = loop.run_to_end()
    measured = {"held_out_psnr": shown.psnr(trainer)} if held_out else {}
    return {**numbers, **measured}


class Loop:
    """Iterates, and between iterations looks after metrics, checkpoints, previews and the stop."""

    def __init__(
        self,
        trainer: Trainer,
        run: Path,
        save_minutes: float,
        shown: previews.Preview,
        progress: Progress,
    ) -> None:
        self.trainer, self.run, self.shown, self.progress = trainer, run, shown, progress
        self.save_s = save_minutes * 60
        self.total = trainer.settings.max_iter
        self.first = trainer.iteration
        self.train_s = 0.0
        self.recent: list[float] = []
        self._saved_at = time.monotonic()

    def run_to_end(self) -> dict[str, float | int]:
        """Iterate until `max_iter`; see `train`."""
        started = time.monotonic()
        while self.trainer.iteration < self.total:
            clock = time.monotonic()
            metrics = self.trainer.step()
            self.train_s += time.monotonic() - clock
            self._note(metrics)
            self._tend()
        seconds = time.monotonic() - started
        done = self.trainer.iteration - self.first
        rate = done / max(self.train_s, 1e-9)
        return {
            "iterations": self.trainer.iteration,
            "psnr": round(sum(self.recent) / max(len(self.recent), 1), 3),
            "it_per_s": round(rate, 3),
            "rays_per_s": round(rate * self.trainer.settings.model.render.rand_rays),
            "seconds": round(seconds, 2),
        }

    def _note(self, metrics: dict[str, float]) -> None:
        iteration = self.trainer.iteration
        self.recent = [*self.recent, metrics["psnr"]][-20:]
        speed = (iteration - self.first) / max(self.train_s, 1e-9)
        smooth = sum(self.recent) / len(self.recent)
        self.progress.step(
            "training", iteration, self.total,
            loss=round(metrics["loss"], 5), psnr=round(smooth, 2), its=round(speed, 2),
        )  # fmt: skip
        if iteration % self.trainer.settings.logging_iter == 0 or iteration == self.total:
            entry = {"iteration": iteration, **metrics, "psnr": smooth, "it_per_s": speed}
            with open(self.run / METRICS, "a", encoding="utf-8") as log:
                log.write(json.dumps({k: round(v, 7) for k, v in entry.items()}) + "\n")

    def _tend(self) -> None:
        iteration, every = self.trainer.iteration, self.trainer.settings.checkpoint.save_iter
        ended = iteration == self.total
        if iteration in {max(1, round(self.total * share)) for share in _PREVIEW_AT}:
            self.shown.write(self.trainer)
        due = time.monotonic() - self._saved_at >= self.save_s
        stopping = stop_requested() and not ended
        if ended or due or stopping or (every and iteration % every == 0):
            self._save(ended)
        if stopping:
            raise Interrupted(
                f"training stopped at iteration {iteration} and was saved",
                hint="run `make process` again: it continues",
            )

    def _save(self, ended: bool) -> None:
        trainer = self.trainer
        name = checkpoints.checkpoint_name(trainer.epoch, trainer.iteration)
        if ended and name not in trainer.finals:
            trainer.finals.append(name)
        state = trainer.state()
        if not all(bool(torch.isfinite(p).all()) for p in trainer.model.parameters()):
            raise JobFailed(
                f"training diverged: parameters are not numbers at iteration {trainer.iteration}",
                detail="the last good checkpoint stays",
                hint="try again with a lower rate, e.g. OVERRIDES='optim.params.lr=0.001'",
            )
        states.save(self.run, state, trainer.settings.checkpoint.keep)
        self._saved_at = time.monotonic()


def _start(trainer: Trainer, state: dict[str, Any] | None, run: Path, progress: Progress) -> None:
    """Restore or begin, and say which."""
    run.mkdir(parents=True, exist_ok=True)
    merging.write(run / "config.yaml", trainer.settings)
    progress.say(trainer.schedule.describe())
    if state is None:
        trainer.prepare()
        _cut_metrics(run, 0)
        return
    trainer.restore(state)
    before, total = state["sched"]["max_iter"], trainer.settings.max_iter
    progress.say(f"continuing at iteration {trainer.iteration} of {total}")
    if before != total:
        progress.say(f"the schedule was made for {before} iterations and now follows {total}")
    if trainer.iteration >= total:
        progress.say(f"trained to iteration {trainer.iteration} already; nothing to do")
    _cut_metrics(run, trainer.iteration)


def _previous_state(run: Path, wanted: str, progress: Progress) -> dict[str, Any] | None:
    """The state to continue from, or None for a new run."""
    choice = checkpoints.chosen(run, wanted) if wanted else checkpoints.newest(run)
    if choice is None:
        return None
    if choice.remark:
        progress.warn(choice.remark)
    return states.read(choice.path)


def _set_aside(run: Path, progress: Progress) -> None:
    """Keep an earlier run under the next free name runs/<GROUP>.<n>."""
    if not run.exists():
        return
    number = 1
    while (kept := run.with_name(f"{run.name}.{number}")).exists():
        number += 1
    run.rename(kept)
    progress.say(f"the earlier run is kept as runs/{kept.name}")


def _cut_metrics(run: Path, iteration: int) -> None:
    """Drop metrics of iterations that will be done again."""
    path = run / METRICS
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["iteration"] <= iteration:
                kept.append(line)
        except (ValueError, KeyError):
            continue  # half a line of a killed run
    write_text(path, "".join(line + "\n" for line in kept))


def _use_threads() -> None:
    """Use the cores this process may run on, unless the person chose a number."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(len(os.sched_getaffinity(0)), _MAX_THREADS))


__all__ = ["METRICS", "Loop", "Settings", "train"]
