"""Weights of a network as a small file: what the package carries, and what CHECKPOINT may name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maquette.errors import BadInput, NotFound
from maquette.recon.mvsnet import networks
from maquette.recon.mvsnet.judging import BEST_FORMAT
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.training import FORMAT as TRAINING_FORMAT
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.scene.atomic import replacing

FORMAT = "mvsnet weights 1"
SHIPPED = Path(__file__).parent / "shipped" / "cascade.pt"
_HINT = "leave CHECKPOINT out for the weights of this package, or name another file"


def save(path: Path, network: nn.Module, variant: str, options: NetworkOptions) -> None:
    """Write a network's weights in half precision."""
    content = {
        "format": FORMAT,
        "variant": variant,
        "options": _sizes(options),
        "state": {name: _halved(value) for name, value in network.state_dict().items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load(path: Path = SHIPPED) -> nn.Module:
    """The network of a file, ready to infer.

    Args:
        path: What `save` wrote, a checkpoint of a run of training, or its `best.pt`.

    Raises:
        NotFound: there is no such file.
        BadInput: it holds no weights, or those of another network.
    """
    content = _read(path)
    told = content.get("format")
    if told == FORMAT:
        variant, options, state = content["variant"], _options(content), content["state"]
    elif told in (TRAINING_FORMAT, BEST_FORMAT):
        course = TrainingOptions.from_mapping(content["options"])
        variant, options, state = course.variant, course.network, content["network"]
    else:
        raise BadInput(
            f"`{path}` holds no weights of a network for depth maps: its format is "
            f"{told or 'not told'}, not {FORMAT} or {TRAINING_FORMAT}",
            hint=_HINT,
        )
    network = networks.build(variant, options)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise BadInput(
            f"the weights of `{path}` do not fit the network `{variant}`",
            detail=str(error),
            hint=_HINT,
        ) from error
    return network.float().eval()


def _options(content: Mapping[str, Any]) -> NetworkOptions:
    told = content["options"]
    hypotheses = tuple(told["hypotheses"])
    return NetworkOptions(told["n_depths"], hypotheses, told["spread"])


def _read(path: Path) -> Mapping[str, Any]:
    if path == SHIPPED and not path.is_file():
        raise NotFound(
            f"the weights that come with this package are not there: `{path}`",
            hint="install the package again; CHECKPOINT=file names others, DEPTH=patchmatch "
            "needs none",
        )
    if not path.is_file():
        raise NotFound(f"there are no weights `{path}`", hint=_HINT)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise BadInput(f"`{path}` is no file of weights: {error}", hint=_HINT) from error
    return content if isinstance(content, Mapping) else {}


def _sizes(options: NetworkOptions) -> dict[str, Any]:
    """What shapes the network, and not how it is computed."""
    told = asdict(options)
    return {name: told[name] for name in ("n_depths", "hypotheses", "spread")}


def _halved(value: Tensor) -> Tensor:
    return value.detach().cpu().half() if value.is_floating_point() else value.detach().cpu()
