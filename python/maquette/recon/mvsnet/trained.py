"""A network that a run has trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maquette.errors import BadInput
from maquette.recon.mvsnet import networks
from maquette.recon.mvsnet.judging import BEST, BEST_FORMAT
from maquette.recon.mvsnet.training import FORMAT
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.training import checkpoint_files
from maquette.scene import checkpoints


@dataclass(frozen=True)
class Trained:
    """A network with what it was trained by.

    Attributes:
        iteration: At which it was so.
        source: The file's name.
    """

    network: nn.Module
    options: TrainingOptions
    iteration: int
    source: str

    @property
    def planes(self) -> Mapping[str, Any]:
        """What samples it was trained with, as `datasets.ranges.PlaneOptions` names it."""
        return self.options.planes


def read(run: Path, wanted: str = "") -> Trained:
    """The network of a run: its best one on validation data, or the newest where none was held.

    Args:
        wanted: In place of it, a checkpoint by name, path or iteration.

    Raises:
        NotFound, BadInput: there is none, or it is of another method.
    """
    best = run / BEST
    if not wanted and best.is_file():
        return _built(checkpoint_files.read(best, BEST_FORMAT), best)
    path = checkpoints.chosen(run, wanted).path
    return _built(checkpoint_files.read(path, FORMAT), path)


def _built(state: dict[str, Any], path: Path) -> Trained:
    options = TrainingOptions.from_mapping(state["options"])
    network = networks.build(options.variant, options.network)
    try:
        network.load_state_dict(state["network"])
    except RuntimeError as error:
        raise BadInput(
            f"the checkpoint is of another network: `{path}`", detail=str(error)[:300],
            hint="FRESH=1 starts a new run and keeps the old one under another name",
        ) from error  # fmt: skip
    place = state if "iteration" in state else state["best"]
    return Trained(network.eval(), options, int(place["iteration"]), path.name)


def on(trained: Trained, device: torch.device) -> nn.Module:
    """The network on a device, without gradients."""
    return trained.network.to(device).requires_grad_(False)
