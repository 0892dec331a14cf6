"""The other processes of a training run: how the leader starts them and how all meet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import distributed as group

from maquette.errors import JobFailed
from maquette.recon import stopping
from maquette.recon.training.process_group import ProcessGroup

_PATIENCE = timedelta(minutes=10)  # the leader alone writes checkpoints and previews
_END_GRACE_S = 30.0
_POLL_S = 0.05
_LAST_WORDS_S = 3.0  # a connection may break a moment before its process is gone


@contextmanager
def launched(gpus: int, arguments: Sequence[str]) -> Iterator[ProcessGroup]:
    """Lead `gpus` processes: start the others, and see that none is left behind.

    Args:
        arguments: Of worker.py, without the process' own place.

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
                sys.executable, "-m", "maquette.recon.training.worker", *arguments,
                "--address", address, "--rank", str(rank), "--world", str(gpus),
            ],
            env={**os.environ, stopping.LIFELINE: str(read_end)},
            pass_fds=[read_end],
        )
        for rank in range(1, gpus)
    ]  # fmt: skip
    os.close(read_end)
    try:
        _await(workers, store)
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


def _await(workers: Sequence[subprocess.Popen[bytes]], store: group.Store) -> None:
    """Wait until all others are about to join; without them, joining waits for `_PATIENCE`.

    Raises:
        JobFailed: one of them ended.
    """
    names = [_ready(rank) for rank, _ in enumerate(workers, 1)]
    while not store.check(names):
        if any(worker.poll() is not None for worker in workers):
            raise JobFailed("one of the training processes could not begin",
                            hint="its message is in the log above")  # fmt: skip
        time.sleep(_POLL_S)


def _ready(rank: int) -> str:
    return f"ready/{rank}"


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
    if rank:
        store.set(_ready(rank), "")
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    group.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE)
