"""Gaussian splats as a method that trains: what a scene and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maquette.errors import ConfigError
from maquette.recon.splats.capacity import check_cap
from maquette.recon.splats.checks import check_scene
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.trained import FORMAT
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.training import runs
from maquette.recon.training.checkpoint_files import START_AFRESH
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, place
from maquette.recon.training.trainable import Method
from maquette.scene import transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

_KEPT = ("strategy", "background", "exposure", "refine_poses")


def train(
    scene: Scene, group: str, options: SplatOptions, run_options: RunOptions, progress: Progress
) -> dict[str, Any]:
    """Train the scene's splats to `options.iterations`, continuing what is there.

    Args:
        group: Of the run, and of the dense points that it may begin with.

    Returns:
        gaussians, first (what training began with), and what `runs.train` measures.

    Raises:
        ConfigError, BadInput: options, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    cameras = transforms.read(scene.transforms)
    check_scene(scene, cameras)
    check_cap(options.cap, options.degree, _device(run_options.gpus, ProcessGroup()))
    arguments = {
        "scene": str(scene.root), "group": group, "options": asdict(options),
        "gpus": run_options.gpus,
    }  # fmt: skip
    done = runs.train(METHOD, arguments, scene.run(group), run_options, progress)
    assert isinstance(done.trainable, SplatTrainer)
    trainer = done.trainable
    return {**done.numbers, "gaussians": len(trainer.splats), "first": trainer.source}


def build(
    arguments: Mapping[str, Any], processes: ProcessGroup, state: dict[str, Any] | None
) -> SplatTrainer:
    """The trainer, from what the scene and the options say.

    Raises:
        ConfigError, BadInput: options, scene or checkpoint are not usable.
    """
    options = SplatOptions(**arguments["options"])
    if state is not None:
        _check_fits(state, options)
    scene = Scene(Path(arguments["scene"]))
    cameras = transforms.read(scene.transforms)
    device = _device(arguments["gpus"], processes)
    return SplatTrainer(scene, arguments["group"], cameras.frames, cameras.region, options, device)


def _device(gpus: int, processes: ProcessGroup) -> torch.device:
    return place(processes.world, processes.rank) if gpus else torch.device("cpu")


def _check_fits(state: dict[str, Any], options: SplatOptions) -> None:
    """Raise ConfigError where a run can not go on with these options."""
    before = state["options"]
    for name in _KEPT:
        if before[name] != getattr(options, name):
            raise ConfigError(
                f"the run was begun with {name} = {before[name]}, not {getattr(options, name)}",
                hint=START_AFRESH,
            )


METHOD = Method(__name__, FORMAT, build, smaller="try CAP=30000 or PRESET=preview")
