"""The optimiser of a surface's parameters, and how their gradients are cleared."""

from __future__ import annotations

import torch

from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.model import SurfaceModel

_LARGE = 1 << 16  # entries from which a gradient keeps its memory


def optimizer_of(model: SurfaceModel, config: TrainingConfig) -> torch.optim.Optimizer:
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
    kind = torch.optim.AdamW if config.optim.type == "AdamW" else torch.optim.Adam
    return kind(groups, lr=rates.lr, betas=(0.9, 0.99), eps=1e-15, fused=True)


def clear_gradients(model: SurfaceModel) -> None:
    """Forget gradients; those of large tables keep their memory."""
    for parameter in model.parameters():
        is_kept = parameter.requires_grad and parameter.numel() >= _LARGE
        if is_kept and parameter.grad is not None:
            parameter.grad.zero_()
        else:
            parameter.grad = None
