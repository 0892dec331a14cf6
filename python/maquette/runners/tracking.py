"""Submit a job and keep its document up to date: the same code for every backend."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from maquette.errors import JobFailed, MaquetteError, UsageError
from maquette.jobs.document import Document, ProviderStatus, change_state
from maquette.jobs.ledger import StepLedger
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import failures
from maquette.runners.base import (
    NO_SECRETS,
    ResponseLost,
    Runner,
    Secrets,
    Show,
    Status,
    SupportsBatchStatus,
    SupportsCollect,
    SupportsCompletion,
    SupportsLateSubmission,
    SupportsUpload,
    get_runner,
)
from maquette.runners.process_identity import age_s, find_process, identity, moment
from maquette.runners.registry import BACKENDS
from maquette.scene import layout

SUBMISSION_GRACE_S = 15.0
STOP_LIMIT_S = 120.0
STOP_POLL_S = 0.2

# The phases of a submission: while the first lasts, the backend knows nothing of the job.
SENDING, POSTING, IN_DOUBT = "sending data", "posting", "in doubt"


def ledger_of(job: JobSpec) -> StepLedger:
    """The documents of the job's step."""
    return StepLedger(job.logs, job.group, job.model, job.owner, job.step)


def submit(
    job: JobSpec,
    runner: Runner,
    show: Show = lambda comparison, moved: None,
    secrets: Secrets = NO_SECRETS,
) -> Document:
    """Write the document, then submit; a crash between the two loses nothing.

    Where an earlier submission was cut off in the middle, what it lacks is started, and the
    document is that of the job which runs.

    Args:
        show: Called several times a second while data moves to the backend.
        secrets: By the settings' names, what the job may know and no document may hold.

    Raises:
        UsageError: the step's current job still runs.
        ResponseLost: the job may have been started; the next query or submission looks for it.
        MaquetteError: the backend refused; the document says so.
    """
    ledger = ledger_of(job)
    request = runner.plan(job)
    try:
        ledger.create(job, runner.name, request, refreshed)
    except UsageError:
        completed = _completed(ledger, runner, secrets)
        if completed is None:
            raise
        return completed
    try:
        if isinstance(runner, SupportsUpload):
            _note_submission(ledger, job.id, SENDING)
            runner.send(request, show)
        _note_submission(ledger, job.id, POSTING)
        handle = runner.submit(request, secrets)
    except ResponseLost:
        _note_submission(ledger, job.id, IN_DOUBT)
        raise
    except Exception as error:
        _record_refusal(ledger, job.id, error)
        raise

    def remember(document: Document) -> None:
        document["maquette"]["handle"] = handle

    return ledger.update(job.id, remember)


def _completed(ledger: StepLedger, runner: Runner, secrets: Secrets) -> Document | None:
    """The current job's document, once what its submission left out was started; None: nothing."""
    document = ledger.read()
    ours, handles = document["maquette"], []
    if ours["backend"] != runner.name or not isinstance(runner, SupportsCompletion):
        return None

    def complete(document: Document) -> None:
        ours = document["maquette"]
        if ours["handle"] is None or _is_submitting(ours.get("submission") or {}):
            return
        if handle := runner.complete(ours["request"], ours["handle"], secrets):
            ours["handle"] = handle
            handles.append(handle)

    document = ledger.update(document["id"], complete)
    return document if handles else None


def _note_submission(ledger: StepLedger, job_id: str, phase: str) -> None:
    """Write down how far the submission is, and by which process."""
    note = {
        "phase": phase,
        "host": socket.gethostname(),
        **identity(psutil.Process()),
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "moment": moment(),
    }
    ledger.update(job_id, lambda document: document["maquette"].update(submission=note))


def _record_refusal(ledger: StepLedger, job_id: str, error: Exception) -> None:
    def write(document: Document) -> None:
        change_state(document, "ERROR", f"not submitted: {error}")
        if isinstance(error, MaquetteError):
            document["maquette"]["reason"] = failures.reason(
                error.what, detail=error.detail, hint=error.hint, code=error.exit_code
            )

    ledger.update(job_id, write)


def refresh(ledger: StepLedger) -> Document:
    """Ask the backend how the step's current job is and write it down; starts nothing."""
    document = ledger.read()
    try:
        return ledger.update(document["id"], refreshed)
    except OSError:  # a full or read-only disk must not hide the state
        refreshed(document)
        return document


def refresh_all(ledgers: Iterable[StepLedger]) -> list[Document]:
    """Bring many steps up to date, with few requests where the backend can tell many at once.

    Those of a backend that this version does not have stay as they are.
    """
    documents = [(ledger, ledger.read()) for ledger in ledgers if not ledger.is_damaged]
    handles: dict[str, list[dict[str, Any]]] = {}
    for _, document in documents:
        ours = document["maquette"]
        if not has_ended(document["status"]) and ours["handle"] and ours["backend"] in BACKENDS:
            handles.setdefault(ours["backend"], []).append(ours["handle"])
    statuses: dict[str, dict[str, Status]] = {}
    for backend, wanted in handles.items():
        runner = get_runner(backend)
        if isinstance(runner, SupportsBatchStatus) and len(wanted) > 1:
            statuses[backend] = runner.statuses(wanted)
    return [_refreshed_from(ledger, document, statuses) for ledger, document in documents]


def _refreshed_from(
    ledger: StepLedger, document: Document, statuses: dict[str, dict[str, Status]]
) -> Document:
    ours = document["maquette"]
    if has_ended(document["status"]) or ours["backend"] not in BACKENDS:
        return document
    status = statuses.get(ours["backend"], {}).get(str((ours["handle"] or {}).get("id")))
    if status is None:
        return refresh(ledger)
    if status.provider == document["provider"]:  # most of a thousand jobs: only the bill grows,
        ours["cost"] = status.cost or ours["cost"]  # which the next change writes down
        return document
    return ledger.update(document["id"], lambda document: apply(document, status))


def collect(ledger: StepLedger) -> Document:
    """Bring here what the step's ended job made, once; nothing to do for jobs of this machine.

    Raises:
        MaquetteError: it could not all be brought; the next call tries again.
    """
    document = ledger.read()
    ours, status = document["maquette"], document["status"]
    ran = bool(status.get("startedAt"))
    if not has_ended(status) or not ours["handle"] or not ran or ours.get("collected"):
        return document
    runner = get_runner(ours["backend"])
    if not isinstance(runner, SupportsCollect):
        return document
    runner.collect(ours["handle"])
    layout.open_scene(Path(ours["scene"]), ours["pipeline"])
    return ledger.update(
        document["id"], lambda document: document["maquette"].update(collected=True)
    )


def note_push(ledger: StepLedger, job_id: str) -> None:
    """Write down that a job's files were copied to the bucket on request."""

    def write(document: Document) -> None:
        pushed_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        document["maquette"].update(pushed_at=pushed_at, collected=False)

    ledger.update(job_id, write)


def is_complete(document: Document) -> bool:
    """Whether a step is done and its results are where they belong."""
    state, ours = document["status"]["state"], document["maquette"]
    pushed_again = bool(ours.get("pushed_at")) and document["status"]["exitCode"] == 0
    return state == "DONE" or (state == "SYNC_FAILED" and pushed_again)


def refreshed(document: Document) -> None:
    """Merge the backend's present answer into the document; no file is touched."""
    if has_ended(document["status"]):
        return
    ours = document["maquette"]
    runner = get_runner(ours["backend"])
    handle = ours["handle"] or runner.find(ours["request"])
    if handle is not None:
        apply(document, runner.status(handle))
    elif _is_cut_off(document, runner):
        change_state(document, "FAILED", "the submission never reached the backend")
        ours["reason"] = failures.reason(
            "the submission was cut off before the job started", hint="run the same command again"
        )


def apply(document: Document, status: Status) -> None:
    """Merge a backend's answer into a document."""
    if has_ended(document["status"]):
        return
    ours = document["maquette"]
    ours["handle"] = status.handle or ours["handle"]
    ours["progress"] = status.progress or ours["progress"]
    ours["reason"] = status.reason
    ours["cost"] = status.cost or ours["cost"]
    ours["kept_until"] = status.kept_until
    document["provider"] = status.provider
    if status.started_at and not document["status"]["startedAt"]:
        change_state(document, "RUNNING", "the step has started", time=status.started_at)
    change_state(
        document,
        status.state or document["status"]["state"],
        status.message,
        exit_code=status.exit_code,
        provider=ProviderStatus(status.code, status.history, status.ended_at, status.duration_s),
    )


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
                hint=f"look at `make {ledger.step}-logs {ledger.names}`",
            )
        time.sleep(STOP_POLL_S)
    return document


def _is_cut_off(document: Document, runner: Runner) -> bool:
    """Whether a job that the backend does not know will never be known to it."""
    note = document["maquette"].get("submission") or {}
    phase = note.get("phase", POSTING)
    if phase != IN_DOUBT and _is_submitting(note):
        return False
    if phase == SENDING:
        return True
    grace_s = runner.grace_s if isinstance(runner, SupportsLateSubmission) else SUBMISSION_GRACE_S
    return age_s(note.get("moment"), str(note.get("at") or document["createdAt"])) > grace_s


def _is_submitting(note: dict[str, Any]) -> bool:
    """Whether the process that submits is still at it; one of another host is not known to be."""
    if note.get("host") != socket.gethostname() or note.get("pid") == os.getpid():
        return False
    return find_process(note) is not None
