"""Several processes that train one model together: equal parameters, shared batches.

Data parallel by averaged gradients, as torch's DistributedDataParallel does it; that wrapper
only knows a module's `forward`, while an iteration here calls several parts of the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor
from torch import distributed as group

from maquette.errors import ConfigError

_MAX_THREADS = 16


class ProcessGroup:
    """The place of a process among those that train together; alone by default.

    Args:
        rank: 0 is the leader, which alone writes files and speaks.
        world: How many processes there are.
    """

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

    def share_of(self, batch: int, setting: str) -> int:
        """The part of a batch that falls to this process.

        Args:
            setting: The key under which a person chooses its size.

        Raises:
            ConfigError: it can not be divided evenly.
        """
        if batch % self.world:
            raise ConfigError(
                f"{setting} is {batch} and can not be shared by GPU={self.world} evenly",
                hint=f"try OVERRIDES='{setting}={batch // self.world * self.world}'",
            )
        return batch // self.world

    def mean(self, values: Tensor) -> Tensor:
        """The mean of values [N], N differing between processes.

        Averaged over the processes, its gradient is that of the mean over all their values.
        """
        if self.world == 1:
            return values.mean()
        count = torch.tensor(float(len(values)), device=values.device)
        group.all_reduce(count)
        return values.sum() * (self.world / count)

    def largest(self, value: Tensor) -> None:
        """Replace a scalar by the largest of all processes."""
        if self.world > 1:
            group.all_reduce(value, op=group.ReduceOp.MAX)

    def add(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.world > 1:
            for tensor in tensors:
                group.all_reduce(tensor)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            group.all_reduce(parameter.grad)
            parameter.grad /= self.world

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the leader's values."""
        if self.world > 1:
            for tensor in tensors:
                group.broadcast(tensor, src=0)

    def agree(self, wanted: bool, device: torch.device) -> bool:
        """The leader's answer, in every process."""
        if self.world == 1:
            return wanted
        answer = torch.tensor(int(wanted), device=device)
        group.broadcast(answer, src=0)
        return bool(answer.item())


def check_gpus(processes: int) -> None:
    """Refuse more processes than this machine has GPUs, where it has any.

    Raises:
        ConfigError: this machine has GPUs, but fewer.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else processes
    if processes > found:
        raise ConfigError(
            f"GPU={processes}, but this machine has {found}", hint=f"use GPU={found} or fewer"
        )


def place(rank: int) -> torch.device:
    """The device of a process, made the current one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(rank)  # collective operations use the current one
    return torch.device("cuda", rank)


def use_threads(processes: int = 1) -> None:
    """Use this process' part of the cores it may run on, unless the person chose a number."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) // processes
        torch.set_num_threads(max(1, min(cores, _MAX_THREADS)))
