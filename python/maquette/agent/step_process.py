"""The step as a child process: supervised, stopped on request, and nothing of it stays running.

The child holds the read end of a pipe whose write end only this process has: when this process
dies in any way, the step sees the end of the pipe, saves and stops.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

LIFELINE = "MAQUETTE_LIFELINE_FD"
POLL_S = 0.25
_BECOME_PARENT_OF_ORPHANS = 36  # prctl: PR_SET_CHILD_SUBREAPER


class StepProcess:
    """A running step in a session of its own.

    Args:
        argv: Its command line.
        environment: All of its environment, but for the lifeline.
        output: Where it writes; None: where this process does.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | None = None
    ) -> None:
        read_end, self._write_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                argv,
                env={**environment, LIFELINE: str(read_end), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
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


def with_python(argv: Sequence[str]) -> list[str]:
    """The command line of a step of ours for this interpreter, wherever its script lies."""
    if argv[0] == "maquette-step":
        return [sys.executable, "-m", "maquette.recon.step", *argv[1:]]
    return list(argv)


class SignalRequests:
    """Requests by signal: SIGTERM and SIGINT to stop, SIGUSR1 to push now."""

    def __init__(self) -> None:
        self.stop = False
        self.push = threading.Event()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_push)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop = True

    def _on_push(self, number: int, frame: FrameType | None) -> None:
        self.push.set()


@dataclass
class StepResult:
    """How the step ended.

    Attributes:
        code: Its exit code as shells write it.
        stopped: It was asked to stop, by a signal or because its time was up.
        killed: It did not stop within its grace.
    """

    code: int = 0
    stopped: bool = False
    time_is_up: bool = False
    killed: bool = False


def supervise(
    step: StepProcess,
    requests: SignalRequests,
    limit_s: float | None,
    grace_s: float,
    tick: Callable[[], None],
) -> StepResult:
    """Wait for the step's end; stop it on request or when its time is up.

    Args:
        limit_s: How long it may run; None without a limit.
        grace_s: How long it may take to save before it is killed.
        tick: Called several times a second.
    """
    end_of_time = time.monotonic() + limit_s if limit_s is not None else float("inf")
    result, kill_at = StepResult(), float("inf")
    while (code := step.wait(POLL_S)) is None:
        tick()
        clock = time.monotonic()
        result.time_is_up |= clock > end_of_time and not result.stopped
        if (requests.stop or result.time_is_up) and not result.stopped:
            result.stopped, kill_at = True, clock + grace_s
            step.ask_to_stop()
        if clock > kill_at:
            result.killed, kill_at = True, float("inf")
            step.kill()
    result.code = code if code >= 0 else 128 - code
    return result


class EventReader:
    """Reads the step's events file as it grows."""

    def __init__(self, events: Path) -> None:
        self._path = events
        self._offset = events.stat().st_size if events.exists() else 0
        self.error: dict[str, Any] | None = None

    def finished_stages(self) -> list[dict[str, Any]]:
        """The stages that finished since the last call."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        self._offset += sum(len(line) + 1 for line in lines[:-1])
        events = [event for event in map(_parsed, lines[:-1]) if event]
        errors = [event for event in events if event.get("event") == "error"]
        self.error = errors[-1] if errors else self.error
        return [event for event in events if event.get("event") == "finished"]


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


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
