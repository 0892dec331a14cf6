"""Beside the running step: the clock, requests from outside, pushes, finished stages."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from maquette.agent.courier import Courier
from maquette.agent.duty import Duty
from maquette.agent.step_process import StepProcess
from maquette.errors import MaquetteError

POLL_S = 0.25


class Requests:
    """What is asked from outside: SIGTERM and SIGINT to stop, SIGUSR1 to push now."""

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


class Pusher:
    """Pushes every SYNC_MINUTES and when asked, in a thread, so that the clock is still watched."""

    def __init__(
        self, duty: Duty, courier: Courier, requests: Requests, say: Callable[[str], None]
    ) -> None:
        self._interval_s = duty.sync_minutes * 60
        self._courier = courier
        self._requests = requests
        self._say = say
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the push at work end, begin no other."""
        self._ending.set()
        self._requests.push.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._requests.push.wait(self._interval_s)
            self._requests.push.clear()
            if self._ending.is_set():
                return
            try:
                self._courier.push()
            except MaquetteError as error:
                self._say(f"not everything was pushed, the next push goes on: {error.what}")
            except OSError as error:
                self._say(f"not everything was pushed: {error.strerror}")


def watch(duty: Duty, step: StepProcess, requests: Requests, tick: Callable[[], None]) -> Ending:
    """Wait for the step's end; stop it when asked from outside or when its time is up.

    Args:
        tick: Called several times a second.
    """
    limit = duty.limit_s
    end_of_time = time.monotonic() + limit if limit is not None else float("inf")
    ending, kill_at = Ending(), float("inf")
    while (code := step.wait(POLL_S)) is None:
        tick()
        clock = time.monotonic()
        ending.time_is_up |= clock > end_of_time and not ending.stopped
        if (requests.stop or ending.time_is_up) and not ending.stopped:
            ending.stopped, kill_at = True, clock + duty.grace_s
            step.ask_to_stop()
        if clock > kill_at:
            ending.killed, kill_at = True, float("inf")
            step.kill()
    ending.code = code if code >= 0 else 128 - code
    return ending


class Ending:
    """How the step ended: its code as shells write it, and what we did about it."""

    code = 0
    stopped = False
    time_is_up = False
    killed = False


class Stages:
    """Reads the step's events file as it grows."""

    def __init__(self, events: Path) -> None:
        self._path = events
        self._offset = events.stat().st_size if events.exists() else 0
        self.error: dict[str, Any] | None = None

    def finished(self) -> list[dict[str, Any]]:
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


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
