"""The process that stays beside a local job: starts the step, keeps its record, tells its end.

Started by `LocalRunner.submit` in a session of its own, so it outlives the shell. The step
holds the read end of a pipe whose write end only this process has: when this process dies in
any way, the step sees the end of the pipe, saves and stops.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from maquette.runners.local import identity, read_record
from maquette.runners.tracking import refresh_record
from maquette.scene.atomic import write_json
from maquette.scene.events import parse_log_line

LIFELINE = "MAQUETTE_LIFELINE_FD"
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

    def run(self) -> None:
        """Start the step, watch it, and record how it ended."""
        signal.signal(signal.SIGTERM, self._on_stop)
        self._save(supervisor=identity(psutil.Process()), state="INITIALIZING")
        with open(self._request["log"], "rb") as log:
            log.seek(0, os.SEEK_END)
            step = self._start()
            self._save(step=identity(psutil.Process(step.pid)), state="RUNNING")
            code = self._watch(step, log)
            self._read_events(log)
        self._finish(code)

    def _start(self) -> subprocess.Popen[bytes]:
        read_end, self._write_end = os.pipe()
        environment = {**os.environ, **self._request["environment"]}
        environment |= {LIFELINE: str(read_end), "PYTHONUNBUFFERED": "1"}
        step = subprocess.Popen(
            self._request["argv"],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[read_end],
        )
        os.close(read_end)
        return step

    def _watch(self, step: subprocess.Popen[bytes], log: Any) -> int:
        told, deadline = False, float("inf")
        while True:
            if self._stop_asked and not told:
                told, deadline = True, time.monotonic() + STOP_GRACE_S
                self._save(state="INTERRUPTING", message="asked to stop: the step saves first")
                step.terminate()
            if time.monotonic() > deadline:
                step.kill()
            try:
                return step.wait(POLL_S)
            except subprocess.TimeoutExpired:
                self._read_events(log)

    def _read_events(self, log: Any) -> None:
        changed: dict[str, Any] = {}
        while line := log.readline():
            event = parse_log_line(line.decode("utf-8", errors="replace").rstrip("\n"))
            if event is None:
                continue
            if event["event"] == "error":
                changed["reason"] = {
                    key: event.get(key) for key in ("what", "detail", "hint", "code")
                }
            elif event["event"] in ("progress", "started"):
                changed["progress"] = event
        self._record |= changed
        if changed and time.monotonic() - self._progress_saved > PROGRESS_INTERVAL_S:
            self._progress_saved = time.monotonic()
            self._save()

    def _finish(self, code: int) -> None:
        if code == 0:
            self._save(state="DONE", exit_code=0, message="Job is done", reason=None)
        elif self._stop_asked:
            self._save(
                state="INTERRUPTED", exit_code=_exit_code(code), message="stopped on request"
            )
        else:
            reason = self._record.get("reason") or _unexplained(code, self._request["log"])
            self._save(
                state="FAILED", exit_code=_exit_code(code), message=reason["what"], reason=reason
            )

    def _save(self, **changes: Any) -> None:
        self._record |= changes
        deadline = time.monotonic() + DISK_RETRY_S
        while True:
            try:
                write_json(self._path, self._record)
                refresh_record(self._request["job_id"], self._path)
                return
            except OSError:  # a full disk must not take the job's end away: try for a while
                if "state" not in changes or time.monotonic() > deadline:
                    return
                time.sleep(POLL_S)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True


def _exit_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _unexplained(code: int, log: str) -> dict[str, Any]:
    if code == -signal.SIGKILL:
        return {
            "what": "the step was killed by the system or by a person (signal 9)",
            "detail": "often this machine ran out of memory",
            "hint": "run the same command again: it continues; see `make help` for memory knobs",
            "code": 12,
        }
    if code < 0:
        name = signal.Signals(-code).name
        return {"what": f"the step crashed ({name})", "detail": "", "hint": f"see {log}", "code": 1}
    return {"what": f"the step ended with exit code {code}", "detail": "", "hint": f"see {log}",
            "code": code}  # fmt: skip


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
