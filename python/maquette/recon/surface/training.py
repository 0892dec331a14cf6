"""Train a scene from its last checkpoint, or afresh, to the wanted iteration."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maquette.errors import Interrupted, JobFailed
from maquette.recon.stopping import deferred, stop_requested
from maquette.recon.surface import merging, previews, sparse_points, states
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.distributed import ProcessGroup, launched, place
from maquette.recon.surface.metrics import MetricsLog
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.trainer import Metrics, Trainer, read
from maquette.recon.views.checks import check
from maquette.recon.views.memory import cache_bytes
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene import checkpoints, transforms
from maquette.scene.checkpoints import Choice
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Transforms

_PREVIEW_AT = (0.25, 0.5, 1.0)
_PREVIEW_S = 180.0
_MAX_THREADS = 16
_UNREAD = 20  # iterations whose numbers may stay on a GPU


def train(
    scene: Scene, run: Path, options: TrainingOptions, progress: Progress
) -> dict[str, float | int]:
    """Train the scene's surface to `options.iterations`, continuing what is there.

    Args:
        run: The run's folder, for checkpoints, configuration, metrics and previews.

    Returns:
        iterations, psnr (last training batches), held_out_psnr, it_per_s, rays_per_s, seconds.

    Raises:
        ConfigError, BadInput: configuration, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    _checked(scene, options)  # before anything is moved or started
    if options.fresh:
        _set_aside(run, progress)
    choice = _previous(run, options.checkpoint, progress)
    state = None if choice is None else states.read(choice.path)
    arguments = worker_arguments(scene.root, options, choice)
    with launched(max(options.gpus, 1), arguments) as processes:
        use_threads(processes.world)
        trainer = build(scene, options, processes, state)
        _announce(trainer, state, run, progress)
        begin(trainer, state)
        kept, held_out = split(transforms.read(scene.transforms).frames)
        shown = previews.Preview(scene, run, held_out or kept, trainer.config, trainer.device)
        with deferred():
            loop = Loop(trainer, run, options.save_minutes, shown, progress)
            numbers = loop.run_to_end()
    measured = {"held_out_psnr": shown.psnr(trainer)} if held_out else {}
    return {**numbers, **measured}


def build(
    scene: Scene,
    options: TrainingOptions,
    processes: ProcessGroup,
    state: dict[str, Any] | None = None,
) -> Trainer:
    """The trainer of one process, from what the scene and the options say.

    Args:
        state: The checkpoint that it will continue from: refused here when it does not fit.

    Raises:
        ConfigError, BadInput: configuration, scene or checkpoint are not usable.
    """
    config, cameras = _checked(scene, options)
    kept, _ = split(cameras.frames)
    if state is not None:
        states.check_fits(state, cameras.region, config, len(kept))
    device = place(processes.world, processes.rank) if options.gpus else torch.device("cpu")
    size = config.data.train.image_size
    # On the CPU the dataset itself is all that pixels may take.
    views = Views(scene, kept, max(size) if size else None, 0 if device.type == "cpu" else None)
    limit = options.cache_bytes or cache_bytes(device, processes.world)
    before = None if state is None else state.get("views")
    dataset = PixelDataset(views, cameras.region, device, limit, options.seed, before)
    points = sparse_points.read(scene, cameras.frames, cameras.region, device)
    return Trainer(config, dataset, cameras.region, device, options.seed, points, processes)


def _checked(scene: Scene, options: TrainingOptions) -> tuple[TrainingConfig, Transforms]:
    config = merging.merge(
        options.preset, scene.config, options.overrides, iterations=options.iterations
    )
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region, config.model.object.sdf.mlp.inside_out)
    return config, cameras


def begin(trainer: Trainer, state: dict[str, Any] | None) -> None:
    """Continue from a state, or start; all processes of a run do this together."""
    if state is None:
        trainer.prepare()
    else:
        trainer.restore(state)
    trainer.processes.share(trainer.model)


def worker_arguments(root: Path, options: TrainingOptions, choice: Choice | None) -> list[str]:
    """What worker.py needs to build the same trainer."""
    words = ["--scene", str(root), "--options", json.dumps(asdict(options))]
    return words if choice is None else [*words, "--checkpoint", str(choice.path)]


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
        self.total = trainer.config.max_iter
        self.first = trainer.iteration
        self.train_s = 0.0
        self.recent: list[float] = []
        self._unread: list[Metrics] = []
        self.metrics = MetricsLog(run, trainer.iteration)
        self._saved_at = self._shown_at = time.monotonic()
        self._stopping = self._lowered = False

    def run_to_end(self) -> dict[str, float | int]:
        """Iterate until `max_iter`; see `train`."""
        started = time.monotonic()
        while self.trainer.goes_on(self.trainer.iteration < self.total and not self._stopping):
            clock = time.monotonic()
            self._unread.append(self._step())
            if self._reads_now():
                self._read()
            self.train_s += time.monotonic() - clock
            self._tend()
        self.metrics.close()
        if self._stopping and self.trainer.iteration < self.total:
            raise Interrupted(
                f"training stopped at iteration {self.trainer.iteration} and was saved",
                hint="run `make process` again: it continues",
            )
        seconds = time.monotonic() - started
        done = self.trainer.iteration - self.first
        rate = done / max(self.train_s, 1e-9)
        return {
            "iterations": self.trainer.iteration,
            "psnr": round(sum(self.recent) / max(len(self.recent), 1), 3),
            "it_per_s": round(rate, 3),
            "rays_per_s": round(rate * self.trainer.rays * self.trainer.processes.world),
            "seconds": round(seconds, 2),
        }

    def _reads_now(self) -> bool:
        """Reading waits for a GPU, which has nothing to do meanwhile: now and then is enough."""
        every = min(self.trainer.config.logging_iter, _UNREAD)
        iteration = self.trainer.iteration
        return self.trainer.is_prompt or iteration % every == 0 or iteration == self.total

    def _read(self) -> None:
        for metrics, found in zip(self._unread, read(self._unread), strict=True):
            self._note(metrics.iteration, found)
        self._unread.clear()

    def _step(self) -> Metrics:
        """One iteration; when memory does not suffice, once more with half the rays."""
        try:
            return self.trainer.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self._lowered or self.trainer.processes.world > 1:
                raise out_of_memory(self.trainer.rays) from error
        self._lowered = True  # outside the handler: it keeps the failed iteration's tensors alive
        if self.trainer.device.type == "cuda":
            torch.cuda.empty_cache()
        before, rays = self.trainer.rays, self.trainer.halve_rays()
        self.progress.warn(f"out of memory: going on with {rays} rays an iteration, not {before}")
        return self._step()

    def _note(self, iteration: int, metrics: dict[str, float]) -> None:
        self.recent = [*self.recent, metrics["psnr"]][-20:]
        speed = (iteration - self.first) / max(self.train_s, 1e-9)
        smooth = sum(self.recent) / len(self.recent)
        self.progress.step(
            "training", iteration, self.total,
            loss=round(metrics["loss"], 5), psnr=round(smooth, 2), its=round(speed, 2),
        )  # fmt: skip
        if iteration % self.trainer.config.logging_iter == 0 or iteration == self.total:
            self.metrics.write(iteration, {**metrics, "psnr": smooth, "it_per_s": speed})

    def _tend(self) -> None:
        iteration, every = self.trainer.iteration, self.trainer.config.checkpoint.save_iter
        ended = iteration == self.total
        marks = {max(1, round(self.total * share)) for share in _PREVIEW_AT}
        if iteration in marks or time.monotonic() - self._shown_at >= _PREVIEW_S:
            self.shown.write(self.trainer)
            self._shown_at = time.monotonic()
        due = time.monotonic() - self._saved_at >= self.save_s
        self._stopping = stop_requested() and not ended
        if ended or due or self._stopping or (every and iteration % every == 0):
            self._save(ended)

    def _save(self, ended: bool) -> None:
        trainer = self.trainer
        if self._unread:
            self._read()
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
        states.save(self.run, state, trainer.config.checkpoint.keep)
        self._saved_at = time.monotonic()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the memory of a GPU or (a plain RuntimeError of torch) of the machine ran out."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def out_of_memory(rays: int) -> JobFailed:
    """The error of a machine that is too small for the configuration."""
    return JobFailed(
        f"training ran out of memory, also with {rays} rays an iteration",
        detail="the last good checkpoint stays",
        hint="a smaller model needs FRESH=1: try PRESET=preview, or for a GPU of 8, 12 or 16 GB "
        "PRESET=full-8gb, full-12gb or full-16gb",
    )


def _announce(
    trainer: Trainer, state: dict[str, Any] | None, run: Path, progress: Progress
) -> None:
    """Say what is about to be done, and bring the run's folder in order."""
    run.mkdir(parents=True, exist_ok=True)
    merging.write(run / "config.yaml", trainer.config)
    progress.say(trainer.schedule.describe())
    if trainer.processes.world > 1 and trainer.device.type == "cpu":
        progress.warn(f"no GPU was found: {trainer.processes.world} processes share the CPU")
    if state is None:
        return
    done, before, total = state["iteration"], state["sched"]["max_iter"], trainer.config.max_iter
    progress.say(f"continuing at iteration {done} of {total}")
    if before != total:
        progress.say(f"the schedule was made for {before} iterations and now follows {total}")
    if done >= total:
        progress.say(f"trained to iteration {done} already; nothing to do")


def _previous(run: Path, wanted: str, progress: Progress) -> Choice | None:
    """The checkpoint to continue from, or None for a new run."""
    choice = checkpoints.chosen(run, wanted) if wanted else checkpoints.newest(run)
    if choice is not None and choice.remark:
        progress.warn(choice.remark)
    return choice


def _set_aside(run: Path, progress: Progress) -> None:
    """Keep an earlier run under the next free name runs/<GROUP>.<n>."""
    if not run.exists():
        return
    number = 1
    while (kept := run.with_name(f"{run.name}.{number}")).exists():
        number += 1
    run.rename(kept)
    progress.say(f"the earlier run is kept as runs/{kept.name}")


def use_threads(processes: int = 1) -> None:
    """Use this process' part of the cores it may run on, unless the person chose a number."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) // processes
        torch.set_num_threads(max(1, min(cores, _MAX_THREADS)))
