"""A job's log that grows in a file which this machine sees."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_S = 0.2
_TAIL_BYTES = 1 << 18


def lines_of(log: Path, is_over: Callable[[], bool]) -> Iterator[str]:
    """Yield a log's lines, whole and each once; nothing where there is no log.

    Args:
        is_over: Asked before each look: whether that look is the last.
    """
    pending, place = b"", 0
    while True:
        over = is_over()
        if log.is_file():
            with open(log, "rb") as file:
                file.seek(place)
                for line in file:
                    pending += line
                    if pending.endswith(b"\n"):
                        yield _text(pending[:-1])
                        pending = b""
                place = file.tell()
        if over:
            break
        threading.Event().wait(POLL_S)
    if pending:
        yield _text(pending)


def last_lines(log: Path) -> list[str]:
    """The lines at the end of a log, as many as tell how far its step is; none without a log."""
    try:
        with open(log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return _text(file.read()).split("\n")
    except OSError:
        return []


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")
