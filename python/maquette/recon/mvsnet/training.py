"""Learned multi-view stereo as a method that trains: what a data set and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maquette.errors import ConfigError
from maquette.recon.mvsnet.datasets import opening
from maquette.recon.mvsnet.samples import SampleSource
from maquette.recon.mvsnet.trainer import DepthTrainer
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.training import runs
from maquette.recon.training.checkpoint_files import START_AFRESH
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, place
from maquette.recon.training.trainable import Method
from maquette.scene.events import Progress

FORMAT = "mvsnet 1"


def train(
    data: Mapping[str, Any], options: TrainingOptions, run: Path, run_options: RunOptions,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Train a network, continuing what is in the run's folder.

    Args:
        data: By `training` and `validation`, what `opening.open_source` reads; validation may
            be None.

    Returns:
        best_loss, best_iteration, and what `runs.train` measures.

    Raises:
        ConfigError, BadInput: options, data or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: training diverged, or ran out of memory.
    """
    arguments = {
        "data": dict(data), "options": options.to_mapping(), "gpus": run_options.gpus,
        "folder": str(run),
    }  # fmt: skip
    done = runs.train(METHOD, arguments, run, run_options, progress)
    assert isinstance(done.trainable, DepthTrainer)
    best = {f"best_{name}": value for name, value in done.trainable.best.items()}
    return {**done.numbers, **best}


def build(
    arguments: Mapping[str, Any], processes: ProcessGroup, state: dict[str, Any] | None
) -> DepthTrainer:
    """The trainer, from what the data and the options say.

    Raises:
        ConfigError, BadInput: options, data or checkpoint are not usable.
    """
    options = TrainingOptions.from_mapping(arguments["options"])
    if state is not None:
        _check_fits(state["options"], options)
    device = place(processes.rank) if arguments["gpus"] else torch.device("cpu")
    training, validation = (_opened(arguments["data"][part]) for part in ("training", "validation"))
    assert training is not None
    folder = Path(arguments["folder"])
    return DepthTrainer(options, training, validation, device, processes, folder)


def _opened(description: Mapping[str, Any] | None) -> SampleSource | None:
    return None if description is None else opening.open_source(description)


def _check_fits(before: Mapping[str, Any], options: TrainingOptions) -> None:
    """Raise ConfigError where a run can not go on with these options."""
    earlier = TrainingOptions.from_mapping(before)
    kept = {
        "NETWORK": (earlier.variant, options.variant),
        "OPTIMIZER": (earlier.rates.optimizer, options.rates.optimizer),
        "BATCH_SIZE": (earlier.batch_size, options.batch_size),
    }
    for name, (was, wanted) in kept.items():
        if was != wanted:
            raise ConfigError(
                f"the run was begun with {name}={was}, not {wanted}", hint=START_AFRESH
            )


METHOD = Method(
    __name__, FORMAT, build, lower_rate="LR=1e-4",
    smaller="try N_DEPTHS=128 or BATCH_SIZE=1", has_pictures=True,
)  # fmt: skip
