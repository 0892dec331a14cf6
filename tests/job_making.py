"""Small jobs for tests of runners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maquette.jobs.spec import JobSpec, new_job_id
from maquette.jobs.states import has_ended
from maquette.runners import tracking
from waiting import wait_for

MakeJob = Callable[..., JobSpec]


def script_job(folder: Path, script: str, step: str = "prepare") -> JobSpec:
    """A job whose step is a shell script, with its scene and logs below `folder`."""
    return JobSpec(
        id=new_job_id(step),
        model="thing",
        group="tests",
        pipeline="neuralangelo",
        step=step,
        scene=folder / "scenes" / "thing",
        logs=folder / "logs",
        command=("bash", "-c", script),
        options={"seed": 0},
        spec={"name": "thing", "resources": {"gpu": 0}},
    )


def ended(job: JobSpec) -> dict:
    ledger = tracking.ledger_of(job)
    wait_for(lambda: has_ended(tracking.refresh(ledger)["status"]), what="the job's end")
    return tracking.refresh(ledger)


def running(job: JobSpec) -> dict:
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["status"]["state"] == "RUNNING", what="RUNNING")
    return tracking.refresh(ledger)
