"""A polite stop: SIGTERM or Ctrl-C ends a step at once, or, inside `deferred`, when it saved.

The signal raises `Interrupted` wherever the step is. A library that catches all that is raised can
lose it there: `check`, which progress calls, raises it again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from maquette.errors import Interrupted

LIFELINE = "MAQUETTE_LIFELINE_FD"
ORPHAN_GRACE_S = 30.0
_UNWINDING_S = 5.0  # in which the same request again must not disturb what ends tidily


class _State:
    requested = False
    raised_at = float("-inf")
    deferrals = 0


_state = _State()


def install() -> None:
    """Handle SIGTERM and SIGINT; stop also when the supervisor's end of the lifeline closes."""
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    lifeline = os.environ.pop(LIFELINE, "")
    if lifeline:
        threading.Thread(target=_watch, args=(int(lifeline),), daemon=True).start()


def stop_requested() -> bool:
    """Whether somebody asked this process to stop; long loops look at this and save."""
    return _state.requested


def check() -> None:
    """End this step where a stop was requested and is not deferred.

    Raises:
        Interrupted: it is so.
    """
    if _state.requested and not _state.deferrals:
        _state.raised_at = time.monotonic()
        raise Interrupted("stopped on request", hint="run the same command again: it continues")


@contextmanager
def deferred() -> Iterator[None]:
    """Inside the block a stop request only sets the flag; the block must look at it."""
    _state.deferrals += 1
    try:
        yield
    finally:
        _state.deferrals -= 1


def _on_signal(number: int, frame: FrameType | None) -> None:
    _state.requested = True
    if time.monotonic() - _state.raised_at > _UNWINDING_S:
        check()


def _watch(descriptor: int) -> None:
    """Block until the supervisor is gone, then stop; a step must never outlive its job."""
    os.read(descriptor, 1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)  # wakes its waits
    last_resort = threading.Timer(ORPHAN_GRACE_S, os._exit, args=(130,))
    last_resort.daemon = True
    last_resort.start()
