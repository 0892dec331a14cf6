"""Ctrl-C ends requests that are under way, however long a store would let them wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from maquette.errors import ExitCode
from maquette.storage.wire import Wire


@contextmanager
def interruptible(wire: Wire) -> Iterator[Wire]:
    """Close the wire at the end of the block; inside it, Ctrl-C cuts it at once.

    A second Ctrl-C ends the process, wherever it is: what is whole has been written down by then,
    and the next command takes up the rest. Who handles the signal already is not disturbed.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _end)
        threading.Thread(target=wire.cut, daemon=True).start()  # it may wait for locks we hold
        raise KeyboardInterrupt

    if is_ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield wire
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        wire.close()


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(ExitCode.INTERRUPTED)
