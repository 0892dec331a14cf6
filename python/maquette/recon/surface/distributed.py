"""Several processes that train one model together: equal parameters, shared batches.

Data parallel by averaged gradients, as torch's DistributedDataParallel does it; that wrapper
only knows a module's `forward`, while an iteration here calls several parts of the model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as group

from maquette.errors import ConfigError, JobFailed
from maquette.recon import stopping

_PATIENCE = timedelta(minutes=10)  # the leader alone writes checkpoints and previews
_END_GRACE_S = 30.0
_LAST_WORDS_S = 3.0  # a connection may break a moment before its process is gone


class ProcessGroup:
    """The place of a process among those that train together; alone by default.

    Args:
        rank: 0 is the leader, which alone writes files and speaks.
        world: How many processes there are.
    """

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

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

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            group.all_reduce(parameter.grad)
            parameter.grad /= self.world

    def share(self, model: nn.Module) -> None:
        """Give every process the leader's parameters and buffers."""
        if self.world > 1:
            for tensor in model.state_dict().values():
                group.broadcast(tensor, src=0)

    def agree(self, wanted: bool, device: torch.device) -> bool:
        """The leader's answer, in every process."""
        if self.world == 1:
            return wanted
        answer = torch.tensor(int(wanted), device=device)
        group.broadcast(answer, src=0)
        return bool(answer.item())


def place(gpus: int, rank: int) -> torch.device:
    """The device of one of `gpus` processes, made the current one.

    Raises:
        ConfigError: this machine has GPUs, but fewer.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if gpus > found:
        raise ConfigError(
            f"GPU={gpus}, but this machine has {found}", hint=f"use GPU={found} or fewer"
        )
    torch.cuda.set_device(rank)  # collective operations use the current one
    return torch.device("cuda", rank)


@contextmanager
def launched(gpus: int, arguments: Sequence[str]) -> Iterator[ProcessGroup]:
    """Lead `gpus` processes: start the others, and see that none is left behind.

    Args:
        arguments: Command line of worker.py, handed to each other process.

    Raises:
        JobFailed: another process ended before its time.
    """
    if gpus <= 1:
        yield ProcessGroup()
        return
    store = group.TCPStore("127.0.0.1", 0, gpus, True, _PATIENCE, wait_for_workers=False)
    address = f"127.0.0.1:{store.port}"
    read_end, write_end = os.pipe()  # closes when this process ends in any way
    workers = [
        subprocess.Popen(
            [
                sys.executable, "-m", "maquette.recon.surface.worker", *arguments,
                "--address", address, "--rank", str(rank), "--world", str(gpus),
            ],
            env={**os.environ, stopping.LIFELINE: str(read_end)},
            pass_fds=[read_end],
        )
        for rank in range(1, gpus)
    ]  # fmt: skip
    os.close(read_end)
    try:
        join(store, 0, gpus)
        yield ProcessGroup(0, gpus)
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(_END_GRACE_S)
    except RuntimeError as error:  # what torch raises when a connection breaks
        if not any(_has_failed(worker) for worker in workers):
            raise
        raise JobFailed("one of the training processes ended early", detail=str(error)[:300],
                        hint="its message is in the log above; run the same command again: "
                        "it continues") from error  # fmt: skip
    finally:
        os.close(write_end)
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        if group.is_initialized():
            group.destroy_process_group()


def _has_failed(worker: subprocess.Popen[bytes]) -> bool:
    try:
        return worker.wait(_LAST_WORDS_S) != 0
    except subprocess.TimeoutExpired:
        return False


def store_at(address: str, world: int) -> group.Store:
    """The leader's store, through which processes find one another."""
    host, _, port = address.rpartition(":")
    return group.TCPStore(host, int(port), world, False, _PATIENCE)


def join(store: group.Store, rank: int, world: int) -> None:
    """Take a place among the processes; returns when all are there."""
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    group.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE)
