"""A worker job: does shards for a driving job that it knows by the store alone.

It waits for what the driver asks it for, and ends by itself when the driver is done, gives no sign
of life, or never gave one.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from maquette.agent import machine, shard_task, worker_notes
from maquette.agent.arguments import RESUME_ME, Arguments, worker_id
from maquette.agent.shard_process import ShardProcess
from maquette.agent.shard_store import place_of
from maquette.agent.step_process import SignalRequests, adopt_orphans, end_orphans
from maquette.agent.worker_notes import Assignment, WorkerState
from maquette.errors import ExitCode, MaquetteError, from_os_error
from maquette.scene.events import Progress
from maquette.stages.heartbeat import Pulse, repeating
from maquette.storage import handover

_PAUSE_S = 2.0
_POLL_S = 0.25
_PATIENCE_S = 1800.0  # a driver may wait for its machine, but this one is paid meanwhile


class WorkerRun:
    """Does one worker job.

    Args:
        patience_s: A driver that gave no sign of life for so long never comes.
    """

    def __init__(self, arguments: Arguments, patience_s: float = _PATIENCE_S) -> None:
        self._arguments, self._patience_s = arguments, patience_s
        self._place = place_of(arguments)
        self._job, self._number = arguments.job, arguments.worker
        self._requests = SignalRequests()
        self._progress = Progress(None)
        self._state = WorkerState(host=socket.gethostname(), pid=os.getpid())
        self._lock = threading.Lock()
        self._bucket = self._place.opened()
        self._pause_s = min(_PAUSE_S, arguments.beat_s)

    def run(self) -> int:
        """Do it; returns the exit code."""
        adopt_orphans()
        try:
            if self._arguments.handed_over:
                handover.remove(self._bucket, worker_id(self._job, self._number))
            machine.check(self._arguments)
            return self._serve()
        except MaquetteError as error:
            return int(self._progress.failed(error))
        except OSError as error:
            return int(self._progress.failed(from_os_error(error, "doing shards")))
        finally:
            end_orphans()
            self._bucket.close()

    def _serve(self) -> int:
        done = ""
        self._progress.say(f"worker {self._number} of {self._job}: waits for its driver")
        driver = DriverWatch(self._driver_text, self._arguments.silence_s, self._patience_s)
        try:
            with repeating(self._beat, self._arguments.beat_s):
                while not self._requests.stop:
                    if why := driver.why_over():
                        self._progress.say(f"worker {self._number} ends: {why}")
                        return ExitCode.OK
                    asked = self._asked()
                    if asked and asked.id != done:
                        self._do(asked)
                        done = asked.id
                    else:
                        threading.Event().wait(self._pause_s)
            return RESUME_ME
        finally:
            self._leave()

    def _leave(self) -> None:
        """Tell the driver; where it has ended, and its notes may be removed already, leave none."""
        self._tell(is_gone=True)
        with suppress(MaquetteError):
            worker_notes.forget_unread(self._bucket, self._job, self._number)

    def _asked(self) -> Assignment | None:
        with suppress(MaquetteError):  # the next look may have an answer
            return worker_notes.assignment_of(self._bucket, self._job, self._number)
        return None

    def _do(self, asked: Assignment) -> None:
        name = PurePosixPath(asked.record).with_suffix("")
        self._progress.say(f"shard {name}: begun")
        self._tell(at=asked.id)
        interval_s = self._arguments.beat_s
        words = self._place.shard_words(asked.record, asked.attempt, interval_s)
        process = ShardProcess(words, self._place.keys)
        try:
            while (code := process.code(_POLL_S)) is None:
                if self._requests.stop:
                    process.ask_to_stop()
            lines = process.lines()
        finally:
            process.end()
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        self._progress.say(f"shard {name}: ended with exit code {code}")
        self._tell(at="", ended=asked.id, code=code, lines=lines)

    def _beat(self, count: int) -> None:
        self._tell(beat=count)

    def _tell(self, **facts: Any) -> None:
        with self._lock:
            self._state = replace(self._state, **facts)
            with suppress(MaquetteError):
                worker_notes.tell(self._bucket, self._job, self._number, self._state)

    def _driver_text(self) -> str:
        with suppress(MaquetteError):
            return shard_task.text(self._bucket, worker_notes.driver_key(self._job))
        return ""


class DriverWatch:
    """What a worker knows of its driver.

    Args:
        read: Gives the driver's last sign of life; "" where none can be had.
        silence_s: A driver that gave one, and then none for so long, is lost.
        patience_s: One that never gave any for so long never comes.
    """

    def __init__(
        self, read: Callable[[], str], silence_s: float, patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._read, self._patience_s, self._clock = read, patience_s, clock
        self._text, self._began = "", clock()
        self._pulse = Pulse(lambda: self._text, silence_s, clock)

    def why_over(self) -> str:
        """Why there is nothing to wait for any more; "" while there may be."""
        self._text = self._read() or self._text
        if worker_notes.is_done(self._text):
            return "the driver needs no worker any more"
        if self._pulse.is_lost():
            return "the driver gives no sign of life any more"
        if not self._text and self._clock() - self._began > self._patience_s:
            return "no driver came"
        return ""
