"""A sign of life of work that runs apart: a small file whose number grows.

Who watches compares numbers, never clocks: two machines need not agree on the time.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maquette.scene.atomic import write_json

INTERVAL_S = 10.0
SILENCE_S = 300.0


@contextmanager
def beating(path: Path, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Raise the number in a file again and again while the block runs; remove the file after it.

    A disk that is full does not end the work: without a sign of life it may be begun elsewhere.
    """
    stopped = threading.Event()

    def beat() -> None:
        count = 0
        while True:
            count += 1
            told = {"beat": count, "host": socket.gethostname(), "pid": os.getpid()}
            with suppress(OSError):
                write_json(path, told)
            if stopped.wait(interval_s):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        path.unlink(missing_ok=True)


class Pulse:
    """Watches one file of heartbeats.

    Args:
        clock: Seconds of this machine, which never go back.
    """

    def __init__(
        self, path: Path, silence_s: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._path, self._silence_s, self._clock = path, silence_s, clock
        self._last: str | None = None
        self._since = clock()

    def is_lost(self) -> bool:
        """Whether it has beaten, and then not for so long.

        What has not begun does not beat: it may wait for a machine.
        """
        try:
            read = self._path.read_text(encoding="utf-8")
        except OSError:
            read = self._last or ""
        if read != (self._last or ""):
            self._last, self._since = read, self._clock()
        return self._last is not None and self._clock() - self._since > self._silence_s

    def where(self) -> str:
        """The machine that beats; "" where none has."""
        try:
            return str(json.loads(self._last or "")["host"])
        except (ValueError, KeyError, TypeError):
            return ""
