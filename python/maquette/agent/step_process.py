"""The step as a child: it ends with us, politely when asked, and leaves nothing running.

The child holds the read end of a pipe whose write end only this process has: when this process
dies in any way, the step sees the end of the pipe, saves and stops.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LIFELINE = "MAQUETTE_LIFELINE_FD"
_BECOME_PARENT_OF_ORPHANS = 36  # prctl: PR_SET_CHILD_SUBREAPER


class StepProcess:
    """A running step in a session of its own.

    Args:
        argv: Its command line.
        environment: All of its environment, but for the lifeline.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        read_end, self._write_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                argv,
                env={**environment, LIFELINE: str(read_end), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[read_end],
            )
        finally:
            os.close(read_end)
        self.pid = self._process.pid

    def wait(self, limit_s: float) -> int | None:
        """Wait for the end; returns its code (negative: the signal), None while it runs."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Tell it to save and stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def sweep(self) -> None:
        """End whatever of its session outlived it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process that the step leaves behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_BECOME_PARENT_OF_ORPHANS, 1, 0, 0, 0)


def end_orphans(children: Path = Path("/proc/self/task")) -> int:
    """Kill and collect every child this process still has; returns how many there were."""
    count = 0
    while left := _children(children):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            count += 1
    return count


def _children(tasks: Path) -> list[int]:
    found: list[int] = []
    for file in tasks.glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, file.read_text(encoding="ascii").split())
    return found
