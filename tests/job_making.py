"""Small jobs for tests of runners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from maquette.config.settings import Settings
from maquette.jobs.spec import JobSpec, new_job_id
from maquette.jobs.states import has_ended
from maquette.pipelines.registry import DEFAULT
from maquette.runners import tracking
from maquette.runners.base import Handle, SupportsCollect, SupportsUpload, get_runner
from waiting import wait_for

MakeJob = Callable[..., JobSpec]


@runtime_checkable
class SupportsDataSync(Protocol):
    """A backend whose jobs work in a copy of the scene that follows the bucket when asked to."""

    def synchronise(self, handle: Handle, direction: str) -> None: ...


BASE_IMAGE = "debian:bookworm-slim"
LIMIT_S = 270.0


def script_job(
    folder: Path, script: str, step: str = "prepare", settings: Settings | None = None
) -> JobSpec:
    """A job whose step is a shell script, with its scene and logs below `folder`.

    The script knows the scene folder as `$1`: the one place that it and the test both see.
    """
    asked = settings or Settings()
    return JobSpec(
        id=new_job_id(step),
        model="thing",
        group="tests",
        pipeline=DEFAULT,
        step=step,
        scene=folder / "scenes" / "thing",
        logs=folder / "logs",
        command=("bash", "-c", script, "step", "{scene}"),
        options={"seed": 0},
        data=replace(asked.data, model="thing"),
        spec={"name": "thing", "image": BASE_IMAGE, "resources": {"gpu": 0}},
        backend_options=asked.public_backend_options(),
    )


def ended(job: JobSpec) -> dict:
    ledger = tracking.ledger_of(job)
    wait_for(lambda: has_ended(tracking.refresh(ledger)["status"]), LIMIT_S, "the job's end")
    return tracking.collect(ledger)


def running(job: JobSpec) -> dict:
    ledger = tracking.ledger_of(job)

    def state() -> str:
        return str(tracking.refresh(ledger)["status"]["state"])

    wait_for(lambda: state() == "RUNNING", LIMIT_S, what="RUNNING")
    return tracking.refresh(ledger)


def fetch(job: JobSpec) -> None:
    """Have what a running job wrote in the scene folder here; it is there already where shared."""
    ours = tracking.refresh(tracking.ledger_of(job))["maquette"]
    runner = get_runner(ours["backend"])
    if isinstance(runner, SupportsDataSync):
        runner.synchronise(ours["handle"], "push")
        assert isinstance(runner, SupportsCollect)
        runner.collect(ours["handle"])


def hand_over(job: JobSpec) -> None:
    """Have what was written to the scene folder here in a running job, likewise."""
    ours = tracking.refresh(tracking.ledger_of(job))["maquette"]
    runner = get_runner(ours["backend"])
    if isinstance(runner, SupportsDataSync):
        assert isinstance(runner, SupportsUpload)
        runner.send(ours["request"], lambda comparison, progress: None)
        runner.synchronise(ours["handle"], "pull")
