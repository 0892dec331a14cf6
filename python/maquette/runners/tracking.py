"""Submit a job and keep its document true: the same code for every backend."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maquette.errors import JobFailed
from maquette.jobs.document import Document, change_state
from maquette.jobs.ledger import StepLedger
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners.base import Runner, Status
from maquette.runners.registry import get_runner

SUBMISSION_GRACE_S = 15.0
STOP_LIMIT_S = 120.0
STOP_POLL_S = 0.2


def ledger_of(job: JobSpec) -> StepLedger:
    """The documents of the job's step."""
    return StepLedger(job.logs, job.group, job.model, job.step)


def submit(job: JobSpec, runner: Runner) -> Document:
    """Write the document, then submit; a crash between the two loses nothing.

    Raises:
        UsageError: the step's current job still runs.
        MaquetteError: the backend refused; the document says so.
    """
    ledger = ledger_of(job)
    request = runner.plan(job)
    ledger.create(job, runner.name, request, refreshed)
    try:
        handle = runner.submit(request)
    except Exception as error:
        message = f"not submitted: {error}"
        ledger.update(job.id, lambda document: change_state(document, "ERROR", message))
        raise

    def remember(document: Document) -> None:
        document["maquette"]["handle"] = handle

    return ledger.update(job.id, remember)


def refresh(ledger: StepLedger) -> Document:
    """Ask the backend how the step's current job is and write it down; starts nothing."""
    document = ledger.read()
    try:
        return ledger.update(document["id"], refreshed)
    except OSError:  # a full or read-only disk must not hide the state
        refreshed(document)
        return document


def refresh_record(job_id: str, record: Path) -> None:
    """Bring the document of the local job `job_id` up to date with its record."""
    folder = record.parent.parent
    step = job_id.split("-")[0]
    ledger = StepLedger(folder.parent.parent, folder.parent.name, folder.name, step)
    runner = get_runner("local")
    ledger.update(job_id, lambda document: apply(document, runner.status({"record": str(record)})))


def refreshed(document: Document) -> None:
    """Merge the backend's present answer into the document; no file is touched."""
    if has_ended(document["status"]):
        return
    ours = document["maquette"]
    runner = get_runner(ours["backend"])
    handle = ours["handle"] or runner.find(ours["request"])
    if handle is not None:
        apply(document, runner.status(handle))
    elif _age_s(document) > SUBMISSION_GRACE_S:
        change_state(document, "FAILED", "the submission never reached the backend")
        ours["reason"] = {
            "what": "the submission was cut off before the job started",
            "detail": "",
            "hint": "run the same command again",
            "code": 12,
        }


def apply(document: Document, status: Status) -> None:
    """Merge a backend's answer into a document."""
    if has_ended(document["status"]):
        return
    ours = document["maquette"]
    ours["handle"] = status.handle or ours["handle"]
    ours["progress"] = status.progress or ours["progress"]
    ours["reason"] = status.reason
    document["provider"] = status.provider
    change_state(document, status.state, status.message, exit_code=status.exit_code)


def cancel(ledger: StepLedger) -> Document:
    """Stop the step's current job and wait until it has ended; fine if it has already.

    Raises:
        JobFailed: the job did not end within the limit.
    """
    document = refresh(ledger)
    if has_ended(document["status"]):
        return document
    handle: dict[str, Any] | None = document["maquette"]["handle"]
    if handle:
        get_runner(document["maquette"]["backend"]).cancel(handle)
    deadline = time.monotonic() + STOP_LIMIT_S
    while not has_ended((document := refresh(ledger))["status"]):
        if time.monotonic() > deadline:
            raise JobFailed(
                f"job {document['id']} was asked to stop but still runs",
                hint=f"look at `make {ledger.step}-logs`",
            )
        time.sleep(STOP_POLL_S)
    return document


def _age_s(document: Document) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(document["createdAt"])).total_seconds()
