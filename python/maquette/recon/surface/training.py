"""Train a scene from its last checkpoint, or afresh, to the wanted iteration."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maquette.recon.stopping import deferred
from maquette.recon.surface import dense_points, merging, previews, sparse_points, states
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.dense_points import DensePoints
from maquette.recon.surface.distributed import ProcessGroup, launched, place
from maquette.recon.surface.loop import Loop
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.surface_points import SurfacePoints
from maquette.recon.surface.trainer import Trainer
from maquette.recon.views.checks import check
from maquette.recon.views.memory import cache_bytes
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene import checkpoints, transforms
from maquette.scene.checkpoints import Choice
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Transforms

_MAX_THREADS = 16


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
        _set_aside(scene, run, progress)
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
    points = _points(scene, options.dense_group, cameras, device)
    return Trainer(config, dataset, cameras.region, device, options.seed, points, processes)


def _points(
    scene: Scene, dense_group: str, cameras: Transforms, device: torch.device
) -> SurfacePoints | None:
    """Dense points where there are some and they are wanted, else sparse ones."""
    told = cameras.frames, cameras.region, device
    dense = dense_points.read(scene, dense_group, *told) if dense_group else None
    return dense or sparse_points.read(scene, *told)


def _checked(scene: Scene, options: TrainingOptions) -> tuple[TrainingConfig, Transforms]:
    config = merging.merge(
        options.preset,
        scene.config,
        options.overrides,
        iterations=options.iterations,
        gpus=options.gpus,
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


def _announce(
    trainer: Trainer, state: dict[str, Any] | None, run: Path, progress: Progress
) -> None:
    """Say what is about to be done, and bring the run's folder in order."""
    run.mkdir(parents=True, exist_ok=True)
    merging.write(run / "config.yaml", trainer.config)
    progress.say(trainer.schedule.describe())
    if isinstance(trainer.points, DensePoints):
        progress.say(f"held by {len(trainer.points.points):,} points of dense stereo")
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


def _set_aside(scene: Scene, run: Path, progress: Progress) -> None:
    """Keep an earlier run beside it, under the next free name <GROUP>.<n>."""
    if not run.exists():
        return
    number = 1
    while (kept := run.with_name(f"{run.name}.{number}")).exists():
        number += 1
    run.rename(kept)
    progress.say(f"the earlier run is kept as {scene.relative(kept)}")


def use_threads(processes: int = 1) -> None:
    """Use this process' part of the cores it may run on, unless the person chose a number."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) // processes
        torch.set_num_threads(max(1, min(cores, _MAX_THREADS)))
