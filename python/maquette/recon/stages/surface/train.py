"""Stage `train`: fit the neural surface, or continue fitting it."""

from __future__ import annotations

from maquette.recon import gpus
from maquette.recon.stages.surface import STAGES, points_to_train_on
from maquette.recon.surface import engine
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["train"]


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Train, and write checkpoints into the run."""
    if options.gpus:
        gpus.check_code()
        if reason := gpus.why_unused():
            progress.warn(reason)
    values = options.declared()
    group, dense = values.pop("group"), values.pop("dense")
    points = points_to_train_on(scene, group) if dense == "auto" else None
    values["dense_points"] = scene.relative(points) if points else ""
    run = scene.run(group)
    numbers = engine.train(scene, run, engine.TrainingOptions(**values), progress)
    newest = checkpoints.chosen(run).path
    written = [run / checkpoints.POINTER, newest]
    return Report(outputs=(), mutable=written, numbers=numbers)
