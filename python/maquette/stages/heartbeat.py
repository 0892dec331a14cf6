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
from functools import partial
from pathlib import Path
from typing import Any

from maquette.scene.atomic import write_json

INTERVAL_S = 10.0
SILENCE_S = 300.0


@contextmanager
def beating(path: Path, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Raise the number in a file again and again while the block runs; remove the file after it.

    A disk that is full does not end the work: without a sign of life it may be begun elsewhere.
    """

    def beat(count: int) -> None:
        with suppress(OSError):
            write_json(path, sign_of_life(count))

    try:
        with repeating(beat, interval_s):
            yield
    finally:
        path.unlink(missing_ok=True)


def sign_of_life(count: int) -> dict[str, Any]:
    """What is written at a beat."""
    return {"beat": count, "host": socket.gethostname(), "pid": os.getpid()}


@contextmanager
def repeating(work: Callable[[int], None], interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Do something in a thread, at once and again and again, while the block runs.

    Args:
        work: Is told how often it was called; it raises nothing.
    """
    stopped = threading.Event()

    def go_on() -> None:
        count = 1
        work(count)
        while not stopped.wait(interval_s):
            count += 1
            work(count)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Pulse:
    """Watches one heart.

    Args:
        source: A file of heartbeats, or what reads one elsewhere: "" where there is none.
        clock: Seconds of this machine, which never go back.
    """

    def __init__(
        self, source: Path | Callable[[], str], silence_s: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._read = partial(_text, source) if isinstance(source, Path) else source
        self._silence_s, self._clock = silence_s, clock
        self._last: str | None = None
        self._since = clock()

    def is_lost(self) -> bool:
        """Whether it has beaten, and then not for so long.

        What has not begun does not beat: it may wait for a machine.
        """
        read = self._read() or self._last or ""
        if read != (self._last or ""):
            self._last, self._since = read, self._clock()
        return self._last is not None and self._clock() - self._since > self._silence_s

    def where(self) -> str:
        """The machine that beats; "" where none has."""
        try:
            return str(json.loads(self._last or "")["host"])
        except (ValueError, KeyError, TypeError):
            return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
