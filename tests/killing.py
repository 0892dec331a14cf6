"""Kill a local job at an event: the one that runs it, or the one that watches over it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from command_line import maquette_here
from maquette.scene import checkpoints, stage_records
from maquette.scene.paths import Scene
from waiting import wait_for

VICTIMS = ("supervisor", "step")
LIMIT_S = 270.0


def document(base: Path, step: str) -> dict:
    done = maquette_here(base, "job", step, "MODEL=thing")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start(base: Path, step: str, *words: str) -> Path:
    """Start a step of `thing` and return its log."""
    started = maquette_here(base, "run", step, "MODEL=thing", "WAIT=0", "--json", *words)
    assert started.returncode == 0, started.stderr
    return Path(json.loads(started.stdout)["maquette"]["request"]["log"])


def kill_when(happened: Callable[[], bool], base: Path, step: str, victim: str, what: str) -> dict:
    """Wait for an event, kill -9 the supervisor or the step; returns the ended job's document.

    Both are known before the event, so that nothing stands between it and the kill.
    """
    pids = wait_for(lambda: pids_of(base, step), LIMIT_S, "supervisor and step")
    found = [psutil.Process(pid) for pid in pids.values() if psutil.pid_exists(pid)]
    wait_for(happened, LIMIT_S, what)
    with suppress(ProcessLookupError):
        os.kill(pids[victim], signal.SIGKILL)
    wait_for(lambda: not any(map(is_at_work, found)), LIMIT_S, "the end of both")
    return document(base, step)


def pids_of(base: Path, step: str) -> dict[str, int]:
    """The processes of the newest job of a step; empty until both have started."""
    files = (base / "logs").rglob(f"history/{step}-*.local.json")
    newest = max(files, key=lambda path: path.name, default=None)
    try:
        record = json.loads(newest.read_text()) if newest else {}
    except ValueError:  # while it is written
        return {}
    if not all(record.get(name) for name in VICTIMS):
        return {}
    return {name: int(record[name]["pid"]) for name in VICTIMS}


def is_at_work(process: psutil.Process) -> bool:
    """Whether a process works still; in some containers nobody collects the ended ones."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_in_stage(base: Path, step: str, victim: str, stage: str, *words: str) -> dict:
    """Start a step and kill as soon as it comes to `stage`."""
    log = start(base, step, *words)
    return kill_when(
        lambda: f'"stage": "{stage}"' in log.read_text(errors="replace"), base, step, victim, stage
    )


def records(base: Path) -> dict[str, str]:
    """When each finished stage was started."""
    scene = Scene(base / "scenes" / "thing", "neuralangelo")
    found = [stage_records.read(scene, path.stem) for path in scene.stages.glob("*/*.json")]
    return {record.stage: record.started_at for record in found if record}


def newest_iteration(base: Path) -> int:
    found = checkpoints.newest(base / "scenes" / "thing" / "runs" / "neuralangelo" / "experiments")
    return (checkpoints.iteration_of(found.path.name) or 0) if found else 0
