"""What the chassis asks of a method, and what a method may offer besides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from maquette.recon.training import failures
from maquette.recon.training.process_group import ProcessGroup


@dataclass(frozen=True)
class Metrics:
    """What an iteration found; the values may still be on their way from a GPU.

    Attributes:
        iteration: Iterations done, this one included.
        values: [len(metric_names)] float32 on the trainable's device, in the order of the names.
        known: Further numbers by name that the host has anyway, such as the learning rate.
        is_kept: They are written to the log whatever the iteration's number.
    """

    iteration: int
    values: Tensor
    known: Mapping[str, float] = field(default_factory=dict)
    is_kept: bool = False


class Trainable(Protocol):
    """One training run of a method, in one process.

    Attributes:
        iteration: Iterations done so far.
        total: Iterations wanted.
        device: Where it computes.
        metric_names: Of the numbers that a step returns. The first is the loss; one that is
            called `psnr` is told as the mean of the last 20 iterations.
    """

    iteration: int
    device: torch.device

    @property
    def total(self) -> int: ...

    @property
    def metric_names(self) -> tuple[str, ...]: ...

    def step(self) -> Metrics:
        """Do one iteration. When memory runs out, the next call does it again from its start."""
        ...

    def state(self) -> dict[str, Any]:
        """All that decides the rest of the run: tensors and plain values (see checkpoints.py)."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state as a checkpoint holds it; `iteration` among the rest."""
        ...

    def preview(self, folder: Path) -> Sequence[Path]:
        """Write pictures of a held-out view beside its photo, and what the viewer loads."""
        ...

    def held_out(self) -> dict[str, float]:
        """What views that do not train measure, such as psnr and ssim; empty without any."""
        ...

    def shrink(self) -> str | None:
        """Halve the memory of the coming iterations; asked of a run in one process alone.

        Returns:
            What changed, e.g. "48 rays an iteration, not 96"; None: nothing is left to shrink.
        """
        ...

    def is_finite(self) -> bool:
        """Whether all parameters are numbers."""
        ...


@runtime_checkable
class SupportsPreparation(Protocol):
    """A method whose new run begins with more than its first step."""

    def prepare(self) -> None:
        """Do what a resumed run has in its state; every process of a run does it."""
        ...


@runtime_checkable
class SupportsProcesses(Protocol):
    """A method that can train in several processes (`GPU=n`), of which each has a share of a batch.

    Its step averages gradients by the `ProcessGroup` that it was built with.
    """

    def shared_tensors(self) -> Iterable[Tensor]:
        """Parameters and buffers: every process begins with the leader's."""
        ...


@runtime_checkable
class SupportsDescription(Protocol):
    """A method that has something to say before it begins."""

    def sentences(self) -> Sequence[str]:
        """What a person should know of the coming run."""
        ...

    def settings(self) -> dict[str, Any]:
        """Every setting in nested form, for the run's `config.yaml`."""
        ...


Build = Callable[[Mapping[str, Any], ProcessGroup, dict[str, Any] | None], Trainable]


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        module: The module in which this stands under the name METHOD; helper processes import it.
        form: What its checkpoints call themselves (`format`); others are refused.
        build: Makes the trainable of one process from arguments (plain JSON values), its place
            among the processes, and the checkpoint it will continue from, or None. Refuses a
            checkpoint that does not fit.
        lower_rate: A setting to try when training diverges.
        smaller: Settings to try when memory does not suffice.
        has_pictures: TensorBoard shows its previews too: few and small ones.
    """

    module: str
    form: int | str
    build: Build
    lower_rate: str = ""
    smaller: str = ""
    has_pictures: bool = False


def read(
    found: Sequence[Metrics], names: Sequence[str], lower_rate: str = ""
) -> list[dict[str, float]]:
    """The numbers of some iterations, by name; waits for the device once.

    Raises:
        JobFailed: a loss is not a number.
    """
    rows = torch.stack([metrics.values for metrics in found]).tolist()
    for metrics, row in zip(found, rows, strict=True):
        if not math.isfinite(row[0]):
            raise failures.diverged(metrics.iteration - 1, lower_rate)
    return [
        {**dict(zip(names, row, strict=True)), **metrics.known}
        for metrics, row in zip(found, rows, strict=True)
    ]
