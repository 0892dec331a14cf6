"""Stage `train`: fit the neural surface, or continue fitting it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.recon import gpus
from maquette.recon.mvs.colmap_files import found_points
from maquette.recon.surface import engine
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def _files(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    given: list[Path | None] = [scene.config]
    if options.dense == "auto":
        given.append(found_points(scene, options.group))
    return [path for path in given if path is not None and path.exists()]


def _run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    if options.gpus:
        gpus.check_code()
        if reason := gpus.why_unused():
            progress.warn(reason)
    values = options.declared()
    group, dense = values.pop("group"), values.pop("dense")
    values["dense_group"] = group if dense == "auto" else ""
    run = scene.run(group)
    numbers = engine.train(scene, run, engine.TrainingOptions(**values), progress)
    newest = checkpoints.chosen(run).path
    written = [run / checkpoints.POINTER, newest]
    return Report(outputs=(), mutable=written, numbers=numbers)


STAGE = Stage(
    name="train",
    version=1,
    run=_run,
    parameters=("group", "iterations", "preset", "seed", "overrides"),
    reads=("dense", "gpus", "fresh", "checkpoint", "save_minutes", "wandb"),
    facts=("cameras", "region", "masks"),
    files=_files,
    packages=("torch",),
)
