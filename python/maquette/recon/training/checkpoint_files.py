"""Checkpoints on the disk: written whole, pruned, read with suspicion.

A checkpoint is a mapping of tensors and plain values. The chassis adds to a trainable's state:

    format     of the method, so that no other reads it
    iteration  done so far
    epoch      for the file's name; 0 where the method counts none
    finals     names of the checkpoints that ended a run; pruning keeps them
    sched      with `max_iter`, the iterations that the schedule was made for
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from maquette.errors import BadInput, NotFound
from maquette.recon.training.trainable import Trainable
from maquette.scene import checkpoints
from maquette.scene.atomic import replacing

START_AFRESH = "FRESH=1 starts a new run and keeps the old one under another name"


def whole_state(trainable: Trainable, form: int | str, finals: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint of the trainable holds."""
    state = trainable.state()
    return {
        "format": form, "epoch": 0, **state,
        "sched": {"max_iter": trainable.total, **state.get("sched", {})},
        "iteration": trainable.iteration, "finals": list(finals),
    }  # fmt: skip


def save(run: Path, state: dict[str, Any], keep: int) -> Path:
    """Write a checkpoint, then the pointer, then prune: never fewer whole files than before."""
    path = run / name_of(state)
    with replacing(path) as temporary:
        _write(state, temporary)
    checkpoints.write_pointer(run, path.name)
    for old in checkpoints.listed(run)[keep:]:
        if old.name not in state["finals"] and old != path:
            old.unlink(missing_ok=True)
    return path


def name_of(state: dict[str, Any]) -> str:
    """The file's name of a checkpoint."""
    return checkpoints.checkpoint_name(state["epoch"], state["iteration"])


def _write(state: dict[str, Any], path: Path) -> None:
    try:
        with open(path, "wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch hides that the disk is full
            raise error.__context__ from None
        raise


def read(path: Path, form: int | str) -> dict[str, Any]:
    """Read a checkpoint to the CPU; only tensors and plain values are accepted.

    Args:
        form: What it calls itself when it is of the wanted method.

    Raises:
        NotFound, BadInput.
    """
    if not path.is_file():
        raise NotFound(f"no checkpoint `{path}`", hint="run `make process` first")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise BadInput(f"the checkpoint is damaged: `{path}`", detail=str(error)[:300],
                       hint=START_AFRESH) from error  # fmt: skip
    if not isinstance(state, dict) or state.get("format") != form:
        raise BadInput(
            f"not a checkpoint of this pipeline's native engine: `{path}`", hint=START_AFRESH
        )
    return state
