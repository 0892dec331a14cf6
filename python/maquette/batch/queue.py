"""Run many scenes, some at once: each by `maquette all`, in a process and with a log of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maquette.batch.listing import Entry
from maquette.config.loading import MAKE_OVERRIDES
from maquette.errors import ExitCode
from maquette.runners.host_limit import HostLimit

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
POLL_S = 0.2
_TAIL_BYTES = 20_000


@dataclass
class Run:
    """How one scene of the list fares.

    Attributes:
        log: What its commands said.
        seconds: How long it took.
        told: Why it failed, in its own words.
    """

    entry: Entry
    log: Path
    state: str = WAITING
    seconds: float = 0.0
    told: str = ""
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    said_before: int = 0


Tell = Callable[[Run], None]


def run_all(
    entries: Sequence[Entry], logs: Path, at_once: int, limit: HostLimit, tell: Tell
) -> list[Run]:
    """Bring every scene to its end, or to an error that stops only it.

    Scenes of one MODEL run one after the other, in the order of the list.

    Args:
        logs: The folder for the scenes' logs.
        limit: None is started once this machine's time is up.
        tell: Called when a scene starts and when it ends.
    """
    runs = [Run(entry, logs / f"{entry.name}.log") for entry in entries]
    logs.mkdir(parents=True, exist_ok=True)
    try:
        while True:
            for run in runs:
                if run.state == RUNNING:
                    _look(run, tell)
            if not limit.is_up:
                _start_next(runs, at_once, tell)
            if not any(run.state == RUNNING for run in runs):
                return runs
            threading.Event().wait(POLL_S)
    finally:
        for run in runs:
            if run.process is not None and run.process.poll() is None:
                run.process.terminate()  # its job goes on, as it does without any terminal


def _start_next(runs: Sequence[Run], at_once: int, tell: Tell) -> None:
    """Start as many as may run; one whose MODEL is at work waits."""
    busy = {run.entry.settings.model for run in runs if run.state == RUNNING}
    for run in runs:
        model = run.entry.settings.model
        if run.state == WAITING and model not in busy and len(busy) < at_once:
            _start(run)
            busy.add(model)
            tell(run)


def _start(run: Run) -> None:
    environment = {key: text for key, text in os.environ.items() if key != MAKE_OVERRIDES}
    with open(run.log, "a", encoding="utf-8") as log:
        run.said_before = log.tell()
        run.process = subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", "all", *run.entry.words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    run.state, run.began = RUNNING, time.monotonic()


def _look(run: Run, tell: Tell) -> None:
    """Note the end of a scene that has ended."""
    assert run.process is not None
    code = run.process.poll()
    if code is None:
        return
    run.seconds = time.monotonic() - run.began
    run.state = {0: DONE, int(ExitCode.INTERRUPTED): STOPPED}.get(code, FAILED)
    run.told = "" if run.state == DONE else _last_error(run) or f"exit status {code}"
    tell(run)


def _last_error(run: Run) -> str:
    """The last sentence about an error in what a scene's commands said this time."""
    with open(run.log, "rb") as file:
        file.seek(max(run.said_before, run.log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else ""
