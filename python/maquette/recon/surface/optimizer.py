"""The optimiser of a surface's parameters, and how their gradients are cleared."""

from __future__ import annotations

import functools
import inspect

import torch
from torch.optim import Adam, AdamW, Optimizer

from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.model import SurfaceModel

_LARGE = 1 << 16  # entries from which a gradient keeps its memory
_LOADING_THE_COMPILER = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def optimizer_of(model: SurfaceModel, config: TrainingConfig) -> Optimizer:
    """AdamW or Adam with one rate for hash tables and one for the rest; no decay on s."""
    rates = config.optim.params
    tables = [p for name, p in model.named_parameters() if name.endswith("grid.table")]
    single = [model.variance, model.embedding]
    known = {id(p) for p in tables + single}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups = [
        {"params": rest, "base_lr": rates.lr, "weight_decay": rates.weight_decay},
        {"params": single, "base_lr": rates.lr, "weight_decay": 0.0},
        {"params": tables, "base_lr": rates.lr_encoding, "weight_decay": rates.weight_decay},
    ]
    kind = without_compiler(AdamW if config.optim.type == "AdamW" else Adam)
    return kind(groups, lr=rates.lr, betas=(0.9, 0.99), eps=1e-15, fused=True)


@functools.cache
def without_compiler(kind: type[Adam]) -> type[Adam]:
    """The same optimiser, which does not load torch.compile, that nothing here uses.

    Torch wraps an optimiser's methods for it, and the first call imports all of `torch._dynamo`,
    in each process that trains.
    """
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in _LOADING_THE_COMPILER}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**bare, "step": step})


def clear_gradients(model: SurfaceModel) -> None:
    """Forget gradients; those of large tables keep their memory."""
    for parameter in model.parameters():
        is_kept = parameter.requires_grad and parameter.numel() >= _LARGE
        if is_kept and parameter.grad is not None:
            parameter.grad.zero_()
        else:
            parameter.grad = None
