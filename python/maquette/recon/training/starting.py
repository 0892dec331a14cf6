"""How a run begins, the same in all its processes."""

from __future__ import annotations

import importlib
from typing import Any

from maquette.errors import ConfigError
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.trainable import (
    Method,
    SupportsPreparation,
    SupportsProcesses,
    Trainable,
)


def method_of(module: str) -> Method:
    """The method that a module holds under the name METHOD."""
    method: Method = importlib.import_module(module).METHOD
    return method


def begin(
    trainable: Trainable, state: dict[str, Any] | None, processes: ProcessGroup | None = None
) -> None:
    """Continue from a state, or start; all processes of a run do this together.

    Raises:
        ConfigError: the method can not train in several processes.
    """
    if state is not None:
        trainable.restore(state)
    elif isinstance(trainable, SupportsPreparation):
        trainable.prepare()
    if processes is None or processes.world == 1:
        return
    if not isinstance(trainable, SupportsProcesses):
        raise ConfigError(
            f"GPU={processes.world}, but this method trains on one GPU", hint="use GPU=1"
        )
    processes.share(trainable.shared_tensors())
