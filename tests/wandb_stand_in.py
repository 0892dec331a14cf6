"""A stand-in for the module `wandb`: what our writer needs of it, and what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any


class Error(Exception):
    """As `wandb.errors.Error`, the base of all that it raises."""


@dataclass
class Run:
    """One call of `wandb.init`, and what followed."""

    told: Mapping[str, Any]
    logged: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    exit_code: int | None = None

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


class WandbStandIn(ModuleType):
    """Put into `sys.modules` under the name `wandb`.

    Args:
        refuses: The sentence of every login, as without a key.
    """

    def __init__(self, refuses: str = "") -> None:
        super().__init__("wandb")
        self.errors = SimpleNamespace(Error=Error)
        self.Settings, self.Image = dict, lambda path: f"image {path}"
        self.runs: list[Run] = []
        self.refuses = refuses

    def login(self) -> bool:
        if self.refuses:
            raise Error(self.refuses)
        return True

    def init(self, **told: Any) -> Run:
        self.runs.append(Run(told))
        return self.runs[-1]
