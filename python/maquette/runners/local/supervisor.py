"""The process that stays beside a local job: starts the step, keeps its record, notes its end.

Started by `LocalRunner.submit` in a session of its own, so it outlives the shell; the step
ends with it, see `StepProcess`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from maquette.agent.step_process import StepProcess
from maquette.jobs.ledger import StepLedger
from maquette.runners import tracking
from maquette.runners.failures import LogEvents, exit_code, unexplained
from maquette.runners.local.runner import LocalRunner, read_record
from maquette.runners.process_identity import identity
from maquette.scene.atomic import write_json

STOP_GRACE_S = 90.0
POLL_S = 0.25
PROGRESS_INTERVAL_S = 2.0
DISK_RETRY_S = 30.0


class Supervisor:
    """Runs one step to its end.

    Args:
        path: The job's record, which holds the request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._record = read_record(path)
        self._request = self._record["request"]
        self._stop_asked = False
        self._progress_saved = 0.0
        self._events = LogEvents()

    def run(self) -> None:
        """Start the step, watch it, and record how it ended."""
        signal.signal(signal.SIGTERM, self._on_stop)
        self._save(supervisor=identity(psutil.Process()), state="INITIALIZING")
        with open(self._request["log"], "rb") as log:
            log.seek(0, os.SEEK_END)
            environment = {**os.environ, **self._request["environment"]}
            step = StepProcess(self._request["argv"], environment)
            self._save(step=identity(psutil.Process(step.pid)), state="RUNNING")
            code = self._watch(step, log)
            self._read_events(log)
        self._finish(code)

    def _watch(self, step: StepProcess, log: Any) -> int:
        is_stopping, deadline = False, float("inf")
        while True:
            if self._stop_asked and not is_stopping:
                is_stopping, deadline = True, time.monotonic() + STOP_GRACE_S
                self._save(state="INTERRUPTING", message="asked to stop: the step saves first")
                step.ask_to_stop()
            if time.monotonic() > deadline:
                step.kill()
            code = step.wait(POLL_S)
            if code is not None:
                return exit_code(code)
            self._read_events(log)

    def _read_events(self, log: Any) -> None:
        changed = False
        while line := log.readline():
            changed |= self._events.read(line.decode("utf-8", errors="replace").rstrip("\n"))
        self._record["progress"] = self._events.progress
        if changed and time.monotonic() - self._progress_saved > PROGRESS_INTERVAL_S:
            self._progress_saved = time.monotonic()
            self._save()

    def _finish(self, code: int) -> None:
        if code == 0:
            self._save(state="DONE", exit_code=0, message="Job is done", reason=None)
        elif self._stop_asked:
            self._save(state="INTERRUPTED", exit_code=code, message="stopped on request")
        else:
            reason = self._events.reason or unexplained(code, self._request["log"])
            self._save(state="FAILED", exit_code=code, message=reason["what"], reason=reason)

    def _save(self, **changes: Any) -> None:
        self._record |= changes
        deadline = time.monotonic() + DISK_RETRY_S
        while True:
            try:
                write_json(self._path, self._record)
                self._refresh_document()
                return
            except OSError:  # a full disk must not take the job's end away: try for a while
                if "state" not in changes or time.monotonic() > deadline:
                    return
                time.sleep(POLL_S)

    def _refresh_document(self) -> None:
        """Bring the document of the job up to date with its record."""
        logs, *names = self._request["document"]
        status = LocalRunner().status({"record": str(self._path)})
        ledger = StepLedger(Path(logs), *names)
        ledger.update(self._request["job_id"], lambda document: tracking.apply(document, status))

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
