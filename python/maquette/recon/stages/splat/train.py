"""Stage `train`: fit Gaussian splats, or continue fitting them."""

from __future__ import annotations

import torch

from maquette.pipelines.splat.presets import preset_of
from maquette.recon import gpus
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.training import train
from maquette.recon.stages.splat import STAGES
from maquette.recon.training.options import RunOptions
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
    run = scene.run(options.group)
    told = _splats(options), _run_options(scene, options)
    numbers = train(scene, options.group, *told, progress)
    written = [run / checkpoints.POINTER, checkpoints.chosen(run).path]
    return Report(outputs=(), mutable=written, numbers=numbers)


def _splats(options: DeclaredOptions) -> SplatOptions:
    preset = preset_of(options.preset, bool(options.gpus) and torch.cuda.is_available())
    return SplatOptions(
        iterations=options.iterations or preset.iterations,
        batch=options.batch,
        cap=options.cap or preset.cap,
        degree=preset.degree if options.degree < 0 else options.degree,
        strategy=options.strategy,
        long_side=preset.long_side or None,
        background=options.background,
        exposure=options.auto_exposure_wb,
        refine_poses=options.refine_poses,
        depth_weight=options.depth_weight,
        normal_weight=options.normal_weight,
        seed=options.seed,
    )


def _run_options(scene: Scene, options: DeclaredOptions) -> RunOptions:
    return RunOptions(
        gpus=options.gpus,
        fresh=options.fresh,
        checkpoint=options.checkpoint,
        save_minutes=options.save_minutes,
        measures_often=True,
        wandb=options.wandb,
        name=f"{scene.name} {options.group}",
    )
