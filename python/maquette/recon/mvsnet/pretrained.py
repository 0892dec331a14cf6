"""Weights that a run begins with: MVSNet_pl's checkpoints, ours, or a plain state dictionary."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maquette.errors import BadInput, NotFound

_MODEL = "model."  # before each name in Lightning's checkpoints of MVSNet_pl
_WRAPPED = ("state_dict", "network", "state")  # Lightning's key, a run's, a file of weights'
_EPSILON = 1e-5
_COUNTER = "num_batches_tracked"
_SHOWN = 3


def start_from(network: nn.Module, path: Path, ignored: Sequence[str] = ()) -> int:
    """Give a network the weights of a checkpoint.

    Args:
        ignored: Beginnings of names that are left out; without the leading `model.`.

    Returns:
        How many tensors were read; those that the checkpoint lacks stay as they are.

    Raises:
        NotFound, BadInput: no such file, a damaged one, or one of another network.
    """
    found = read_state(path)
    kept = {name: value for name, value in found.items() if not name.startswith(tuple(ignored))}
    own = network.state_dict()
    strange = [
        f"{name} {tuple(value.shape)}" for name, value in kept.items()
        if name not in own or own[name].shape != value.shape
    ]  # fmt: skip
    lacking = [name for name in own if name not in found and not name.endswith(_COUNTER)]
    needed = [name for name in lacking if not name.startswith(tuple(ignored))]
    if strange or needed or not kept:
        told = [f"not of this network: {', '.join(strange[:_SHOWN])}"] if strange else []
        told += [f"lacking: {', '.join(needed[:_SHOWN])}"] if needed else []
        raise BadInput(
            f"the checkpoint is of another network: `{path}`",
            detail="; ".join(told) or "it holds no weights",
            hint="choose NETWORK= as it was trained, or name what to leave out: PREFIXES_TO_IGNORE",
        )
    network.load_state_dict(kept, strict=False)
    return len(kept)


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a checkpoint, by our names.

    In-place ABN keeps no count of batches, and scales by the weight's absolute value plus 1e-5:
    its weights are changed into those of a plain batch normalisation.

    Raises:
        NotFound, BadInput.
    Source: Rota Bulò et al., In-place activated BatchNorm, CVPR 2018, section 3.
    """
    content = _read(path)
    for key in _WRAPPED:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    state = {
        str(name).removeprefix(_MODEL): value.float() if value.is_floating_point() else value
        for name, value in content.items()
        if isinstance(value, Tensor)
    }
    if any(name.endswith(_COUNTER) for name in state):
        return state
    normalised = {name.removesuffix("running_mean") for name in state if "running_mean" in name}
    for name in (f"{place}weight" for place in normalised):
        if name in state:
            state[name] = state[name].abs() + _EPSILON
    return state


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise NotFound(f"no checkpoint `{path}`", hint="CKPT_PATH names a file, or nothing")
    try:
        with torch.serialization.safe_globals([Namespace]):  # Lightning keeps the flags in one
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise BadInput(
            f"the checkpoint can not be read: `{path}`", detail=str(error)[:300],
            hint="one with more than tensors and plain values in it has to be saved again: "
            "torch.save({'state_dict': checkpoint['state_dict']}, …)",
        ) from error  # fmt: skip
    return content if isinstance(content, Mapping) else {}
