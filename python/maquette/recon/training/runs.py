"""Train from a run's last checkpoint, or afresh, to the wanted iteration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.recon.stopping import deferred
from maquette.recon.training import checkpoint_files, weights_and_biases
from maquette.recon.training.configuration import write_tree
from maquette.recon.training.failures import memory_checked
from maquette.recon.training.loop import Loop
from maquette.recon.training.metrics import MetricsWriter
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, check_gpus, use_threads
from maquette.recon.training.starting import begin
from maquette.recon.training.trainable import Method, SupportsDescription, Trainable
from maquette.recon.training.weights_and_biases import WeightsAndBiases
from maquette.recon.training.workers import launched
from maquette.scene import checkpoints
from maquette.scene.checkpoints import Choice
from maquette.scene.events import Progress


@dataclass(frozen=True)
class Trained:
    """A run that reached its end.

    Attributes:
        trainable: As it is after the last iteration.
        numbers: iterations, psnr (mean of the last batches, where there is one), it_per_s,
            seconds, and what held-out views measure under names that begin with `held_out_`.
    """

    trainable: Trainable
    numbers: dict[str, float | int]


def train(
    method: Method,
    arguments: Mapping[str, Any],
    run: Path,
    options: RunOptions,
    progress: Progress,
) -> Trained:
    """Train to the wanted iteration, continuing what is in the run's folder.

    Args:
        arguments: Of the method's builder, plain JSON values. Look at them before: an earlier
            run may be set aside here before they are used.
        run: The run's folder, for checkpoints, configuration, metrics and previews.

    Raises:
        ConfigError, BadInput: configuration, data or checkpoint are not usable.
        CredentialsError: Weights & Biases was asked for and refuses.
        Interrupted: asked to stop; the state is saved.
        JobFailed: training diverged, or ran out of memory.
    """
    if options.wandb:
        weights_and_biases.check()
    check_gpus(options.gpus)
    if options.fresh:
        set_aside(run, progress)
    choice = _previous(run, options.checkpoint, progress)
    state = None if choice is None else checkpoint_files.read(choice.path, method.form)
    others = _worker_arguments(method, arguments, choice)
    with memory_checked(method.smaller), launched(max(options.gpus, 1), others) as processes:
        use_threads(processes.world)
        trainable = method.build(arguments, processes, state)
        run.mkdir(parents=True, exist_ok=True)
        _describe(trainable, run, progress)
        begin(trainable, state, processes)
        _announce(trainable, state, processes, progress)
        finals = [] if state is None else state["finals"]
        writers = _writers(trainable, run, options)
        with deferred():
            loop = Loop(trainable, method, run, options, progress, processes, finals, writers)
            numbers = loop.run_to_end()
    return Trained(trainable, numbers)


def _writers(trainable: Trainable, run: Path, options: RunOptions) -> list[MetricsWriter]:
    """Where metrics go because a person asked for it."""
    if not options.wandb:
        return []
    told = trainable.settings() if isinstance(trainable, SupportsDescription) else {}
    return [WeightsAndBiases(run, options.name or run.name, told)]


def _worker_arguments(
    method: Method, arguments: Mapping[str, Any], choice: Choice | None
) -> list[str]:
    """What worker.py needs to build the same trainable."""
    words = ["--method", method.module, "--arguments", json.dumps(dict(arguments))]
    return words if choice is None else [*words, "--checkpoint", str(choice.path)]


def _describe(trainable: Trainable, run: Path, progress: Progress) -> None:
    """Let the method say what it is about to do, and write its settings to `config.yaml`."""
    if not isinstance(trainable, SupportsDescription):
        return
    write_tree(run / "config.yaml", trainable.settings())
    for sentence in trainable.sentences():
        progress.say(sentence)


def _announce(
    trainable: Trainable, state: dict[str, Any] | None, processes: ProcessGroup, progress: Progress
) -> None:
    """Say where the run goes on, and by which schedule."""
    if processes.world > 1 and trainable.device.type == "cpu":
        progress.warn(f"no GPU was found: {processes.world} processes share the CPU")
    if state is None:
        return
    done, before, total = state["iteration"], state["sched"]["max_iter"], trainable.total
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


def set_aside(run: Path, progress: Progress) -> None:
    """Keep an earlier run beside it, under the next free name <GROUP>.<n>."""
    if not run.exists():
        return
    number = 1
    while (kept := run.with_name(f"{run.name}.{number}")).exists():
        number += 1
    run.rename(kept)
    progress.say(f"the earlier run is kept beside it as {kept.name}")
