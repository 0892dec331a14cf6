"""Who writes to a scene: one at a time.

The system drops the lock when its process ends in any way.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from maquette.errors import JobFailed
from maquette.scene.paths import Scene

_WAIT_S = 60.0
_PAUSE_S = 0.2


@contextmanager
def held(scene: Scene, say: Callable[[str], None], wait_s: float | None = None) -> Iterator[None]:
    """Hold a scene alone, for a step or whatever else writes to it.

    Args:
        say: Is told when another holds it, before this waits.

    Raises:
        JobFailed: another holds it for longer than `wait_s` seconds, by default a minute.
    """
    with _opened(scene) as lock:
        if not _is_taken(lock):
            say("another step is still writing to this scene: waiting for it to end")
            if not _is_taken_within(lock, _WAIT_S if wait_s is None else wait_s):
                raise JobFailed(
                    f"another step holds the scene `{scene.name}`",
                    detail=_holder(lock),
                    hint="see `make jobs`; stop it, or wait for its end",
                )
        _sign(lock)
        yield


@contextmanager
def held_if_free(scene: Scene) -> Iterator[bool]:
    """Hold a scene unless another does; yields whether this does."""
    with _opened(scene) as lock:
        yield _is_taken(lock)


def _opened(scene: Scene) -> TextIO:
    scene.stages.mkdir(parents=True, exist_ok=True)
    return open(scene.stages / ".lock", "a+", encoding="utf-8")


def _sign(lock: TextIO) -> None:
    """Say who holds it, for those of other machines; a full disk is no reason to fail."""
    with suppress(OSError):
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read()


def _is_taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_taken_within(lock: TextIO, limit_s: float) -> bool:
    wait, deadline = threading.Event(), time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if _is_taken(lock):
            return True
        wait.wait(_PAUSE_S)
    return False
