"""Stage `train`: fit a network to a data set, or continue fitting it."""

from __future__ import annotations

from typing import Any

from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mvsnet.datasets import location, opening
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.optimizers import Rates
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.training import train
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.stages.mvsnet import OWN, RATES, STAGES
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
    data = _data(scene, options)
    run = scene.run(options.group)
    numbers = train(data, _training(options), run, _run_options(options), progress)
    written = [run / checkpoints.POINTER, checkpoints.chosen(run).path]
    return Report(outputs=(), mutable=written, numbers=numbers)


def _data(scene: Scene, options: DeclaredOptions) -> dict[str, Any]:
    """What the run is trained and validated with; opened once, so that what is wrong is told."""
    root, found = location.root_of(scene), location.read_index(scene)
    planes = _planes(options)
    data = {
        part: opening.describe(root, found, part, planes) for part in ("training", "validation")
    }
    sources = {part: opening.open_source(told) for part, told in data.items()}
    if not len(sources["training"]):
        raise BadInput(
            f"no sample of the data set trains: `{root}`",
            hint="at least two views with depth; see the numbers that `make prepare` told",
        )
    return {part: data[part] if len(source) else None for part, source in sources.items()}


def _planes(options: DeclaredOptions) -> PlaneOptions:
    return PlaneOptions(options.n_views, options.n_depths, options.interval_scale)


def _training(options: DeclaredOptions) -> TrainingOptions:
    rates = {name: getattr(options, name) for name in RATES}
    steps = tuple(int(word) for word in options.decay_step.split())
    return TrainingOptions(
        variant=options.network,
        network=NetworkOptions(n_depths=options.n_depths),
        rates=Rates(decay_step=steps, **rates),
        prefixes_to_ignore=tuple(options.prefixes_to_ignore.split()),
        name=options.exp_name,
        planes=vars(_planes(options)),
        **{name: getattr(options, name) for name in OWN},
    )


def _run_options(options: DeclaredOptions) -> RunOptions:
    return RunOptions(
        gpus=options.gpus,
        fresh=options.fresh,
        checkpoint=options.checkpoint,
        save_minutes=options.save_minutes,
        wandb=options.wandb,
        name=options.exp_name,
    )
