"""The log of a job, as text that is asked for again and again."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

from maquette.errors import ConfigError, NotFound
from maquette.runners.ovh.client import Client

_QUICK_S, _SLOW_S = 0.2, 5.0
_BYTES_PER_S = 200_000  # what following a log may fetch
_DATED = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z \[job\] ?")


def read(client: Client, job_id: str, follow: bool, is_over: Callable[[], bool]) -> Iterator[str]:
    """Yield the log's lines, by asking for the text again and again until the job is over.

    Pauses grow with the log's size and with its silence.
    """
    shown, pause = 0, _QUICK_S
    while True:
        over = not follow or is_over()
        found, size = lines(client, job_id, whole=not over)
        yield from found[shown:]
        pause = _QUICK_S if len(found) > shown else min(pause * 1.5, _SLOW_S)
        shown = max(shown, len(found))
        if over:
            return
        threading.Event().wait(max(pause, size / _BYTES_PER_S))


def lines(
    client: Client, job_id: str, *, whole: bool = False, tail: int = 0
) -> tuple[list[str], int]:
    """The log's lines so far and its size.

    Args:
        whole: Leave an unfinished last line out.
        tail: Ask for so many lines from the end only (0: for all).
    """
    wanted = {"tail": tail} if tail else None
    try:
        text = client.text(f"/v1/job/{job_id}/log", wanted)
    except (NotFound, ConfigError):  # no log yet, or none any more
        return [], 0
    found = text.split("\n")
    if whole or not found[-1]:
        found.pop()
    return [_DATED.sub("", line.rstrip("\r")) for line in found], len(text)
