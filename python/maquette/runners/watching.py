"""Watch a job through a network that comes and goes: the job runs on meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from maquette.errors import Unanswered
from maquette.runners.base import Handle, Runner

PATIENCE_S = 3600.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 20.0
T = TypeVar("T")


def watched_lines(runner: Runner, handle: Handle) -> Iterator[str]:
    """The log's lines until the job has ended, each once, however often the way there breaks.

    Raises:
        Unanswered: nobody answered for an hour; how the job is, is not known.
    """
    shown, gap = 0, _Gap()
    while True:
        try:
            for number, line in enumerate(runner.logs(handle, follow=True)):
                gap.close()
                if number >= shown:
                    shown += 1
                    yield line
        except Unanswered as error:
            gap.wait(error)
        else:
            gap.close()
            return


def patiently(ask: Callable[[], T]) -> T:
    """The answer to a question about a job; asked again while nobody answers.

    Raises:
        Unanswered: nobody answered for an hour.
    """
    gap = _Gap()
    while True:
        try:
            answer = ask()
        except Unanswered as error:
            gap.wait(error)
        else:
            gap.close()
            return answer


class _Gap:
    """A time without answers: told when it begins and ends, and borne for a while."""

    def __init__(self) -> None:
        self._begun, self._pause_s = 0.0, 0.0

    def wait(self, error: Unanswered) -> None:
        if not self._begun:
            self._begun = time.monotonic()
            print(f"{error.what}; the job is not touched by that, asking again", file=sys.stderr)
        if time.monotonic() - self._begun > PATIENCE_S:
            raise Unanswered(
                f"how the job is, is not known: {error.what}",
                detail=error.detail,
                hint="it goes on without this terminal; ask again when the network is back",
            ) from error
        self._pause_s = min(self._pause_s * 1.5, LONGEST_PAUSE_S) or FIRST_PAUSE_S
        threading.Event().wait(self._pause_s)

    def close(self) -> None:
        if self._begun:
            print("answers come again", file=sys.stderr)
        self._begun, self._pause_s = 0.0, 0.0
