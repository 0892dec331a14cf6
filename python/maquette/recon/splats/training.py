"""Gaussian splats as a method that trains: what a scene and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
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
from maquette.recon.views.memory import cache_bytes
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
    gpus = max(1, run_options.gpus)
    check_cap(options.cap, options.degree, _device(run_options.gpus, ProcessGroup()), gpus)
    _check_batch(options.batch, gpus)
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
    if not options.batch:
        options = replace(options, batch=_batch(processes.world, state))
    scene = Scene(Path(arguments["scene"]))
    cameras = transforms.read(scene.transforms)
    device = _device(arguments["gpus"], processes)
    limit = cache_bytes(torch.device("cpu"), processes.world)
    return SplatTrainer(
        scene, arguments["group"], cameras.frames, cameras.region, options, device, limit, processes
    )


def _device(gpus: int, processes: ProcessGroup) -> torch.device:
    return place(processes.rank) if gpus else torch.device("cpu")


def _batch(processes: int, state: dict[str, Any] | None) -> int:
    """Photographs of a step that nobody chose: as the run was begun, where they can be shared."""
    before = processes if state is None else state["options"].get("batch", 1)
    return before if before % processes == 0 else processes


def _check_batch(batch: int, processes: int) -> None:
    """Raise ConfigError where processes can not have equal shares of it."""
    if batch % processes:
        raise ConfigError(
            f"BATCH is {batch} and can not be shared by GPU={processes} evenly",
            hint=f"try BATCH={-(-batch // processes) * processes}, or leave BATCH out",
        )


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
