"""Optimisers and learning rates that MVSNet_pl offers, by its names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer, RAdam

EPSILON = 1e-8
OPTIMIZERS = ("sgd", "adam", "radam", "ranger")
SCHEDULERS = ("steplr", "cosine", "poly")


@dataclass(frozen=True)
class Rates:
    """Options of the optimiser and of its learning rate; epochs may be fractions.

    Attributes:
        optimizer: One of OPTIMIZERS.
        lr: The first learning rate, after the warm-up.
        momentum: Of sgd.
        lr_scheduler: One of SCHEDULERS.
        warmup_epochs: For so long the rate rises; not with radam and ranger, which warm up.
        warmup_multiplier: Of the rate once it has risen; 1: it begins at 0.
        decay_step: Epochs at whose end `steplr` multiplies the rate by `decay_gamma`.
        poly_exp: Of `poly`.
    """

    optimizer: str = "sgd"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-5
    lr_scheduler: str = "steplr"
    warmup_multiplier: float = 1.0
    warmup_epochs: float = 0
    decay_step: tuple[int, ...] = (20,)
    decay_gamma: float = 0.1
    poly_exp: float = 0.9

    def rate(self, epoch: float, epochs: float) -> float:
        """The learning rate after `epoch` of `epochs` epochs.

        Source: Goyal et al., Accurate, large minibatch SGD, 2017 (warm-up); Loshchilov & Hutter,
            SGDR, ICLR 2017, eq. 5 (cosine, without restarts).
        """
        warmup = 0.0 if self.optimizer in ("radam", "ranger") else self.warmup_epochs
        if epoch < warmup:
            share = epoch / warmup
            if self.warmup_multiplier == 1.0:
                return self.lr * share
            return self.lr * (1.0 + (self.warmup_multiplier - 1.0) * share)
        top = self.lr * (self.warmup_multiplier if warmup else 1.0)
        done, whole = epoch - warmup, max(epochs - warmup, 1e-9)
        if self.lr_scheduler == "steplr":
            return top * self.decay_gamma ** sum(done >= step for step in self.decay_step)
        share = min(done / whole, 1.0)
        if self.lr_scheduler == "cosine":
            return EPSILON + (top - EPSILON) * 0.5 * (1.0 + math.cos(math.pi * share))
        return top * (1.0 - share) ** self.poly_exp


def make(rates: Rates, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimiser of that name."""
    decay = rates.weight_decay
    if rates.optimizer == "sgd":
        return SGD(parameters, rates.lr, rates.momentum, weight_decay=decay)
    if rates.optimizer == "adam":
        return Adam(parameters, rates.lr, eps=EPSILON, weight_decay=decay)
    rectified = RAdam(parameters, rates.lr, eps=EPSILON, weight_decay=decay)
    return Lookahead(rectified) if rates.optimizer == "ranger" else rectified


class Lookahead(Optimizer):
    """Slow weights that follow those of another optimiser, every few steps; with RAdam: Ranger.

    Args:
        fast: The other optimiser; its parameter groups, and so its rates, are this one's.
        every: Steps between two looks.
        share: Of the way from slow to fast weights that the slow ones then go.
    Source: Zhang et al., Lookahead optimizer: k steps forward, 1 step back, NeurIPS 2019,
        algorithm 1.
    """

    def __init__(self, fast: Optimizer, every: int = 6, share: float = 0.5) -> None:
        self.fast, self.every, self.share = fast, every, share
        self.count = 0
        super().__init__(fast.param_groups, {})
        self.param_groups = fast.param_groups
        self.slow = [parameter.detach().clone() for parameter in self._parameters()]

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of the fast optimiser; every few of them the slow weights take their place."""
        self.fast.step(closure)
        self.count += 1
        if self.count % self.every == 0:
            for slow, parameter in zip(self.slow, self._parameters(), strict=True):
                slow.lerp_(parameter, self.share)
                parameter.copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """Those of the fast optimiser, the slow weights and the steps so far."""
        slow = [tensor.clone() for tensor in self.slow]
        return {"fast": self.fast.state_dict(), "slow": slow, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.fast.load_state_dict(state_dict["fast"])
        self.param_groups = self.fast.param_groups
        self.count = int(state_dict["count"])
        for slow, kept in zip(self.slow, state_dict["slow"], strict=True):
            slow.copy_(kept)
