"""Gaussian splats as a method that trains: what a scene and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maquette.errors import ConfigError
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.training import runs
from maquette.recon.training.checkpoint_files import START_AFRESH
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, place
from maquette.recon.training.trainable import Method
from maquette.recon.views.checks import check
from maquette.scene import transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

FORMAT = "splats-1"
_KEPT = ("strategy", "background", "exposure", "refine_poses")


def train(
    scene: Scene, group: str, options: SplatOptions, run_options: RunOptions, progress: Progress
) -> dict[str, float | int]:
    """Train the scene's splats to `options.iterations`, continuing what is there.

    Args:
        group: Of the run, and of the dense points that it may begin with.

    Returns:
        gaussians, and what `runs.train` measures.

    Raises:
        ConfigError, BadInput: options, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region, inside_out=True)
    arguments = {
        "scene": str(scene.root), "group": group, "options": asdict(options),
        "gpus": run_options.gpus,
    }  # fmt: skip
    done = runs.train(METHOD, arguments, scene.run(group), run_options, progress)
    assert isinstance(done.trainable, SplatTrainer)
    return {**done.numbers, "gaussians": len(done.trainable.splats)}


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
    device = place(processes.world, processes.rank) if arguments["gpus"] else torch.device("cpu")
    return SplatTrainer(scene, arguments["group"], cameras.frames, cameras.region, options, device)


def _check_fits(state: dict[str, Any], options: SplatOptions) -> None:
    """Raise ConfigError where a run can not go on with these options."""
    before = state["options"]
    for name in _KEPT:
        if before[name] != getattr(options, name):
            raise ConfigError(
                f"the run was begun with {name} = {before[name]}, not {getattr(options, name)}",
                hint=START_AFRESH,
            )


METHOD = Method(__name__, FORMAT, build, smaller="try fewer Gaussians or smaller photographs")
