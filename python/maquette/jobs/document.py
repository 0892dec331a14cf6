"""The job document: an OVHcloud job, with our own facts under the key `maquette`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.scene.events import now

SCHEMA_VERSION = 1

Document = dict[str, Any]


def new_document(job: JobSpec, backend: str, request: dict[str, Any], attempt: int) -> Document:
    """Describe a job that is about to be submitted; written before the submission."""
    time = now()
    return {
        "id": job.id,
        "createdAt": time,
        "updatedAt": time,
        "spec": {"command": list(job.command), **job.spec},
        "status": {
            "state": "QUEUED",
            "exitCode": None,
            "duration": 0,
            "info": {"code": "JOB_QUEUED", "message": "Job submitted"},
            "history": [{"state": "QUEUED", "date": time}],
            "queuedAt": time,
            "initializingAt": None,
            "startedAt": None,
            "stoppedAt": None,
            "finalizedAt": None,
        },
        "maquette": {
            "schema_version": SCHEMA_VERSION,
            "backend": backend,
            "handle": None,
            "scene": str(job.scene),
            "model": job.model,
            "group": job.group,
            "pipeline": job.pipeline,
            "step": job.step,
            "engine": job.engine.name,
            "licence": job.engine.licence,
            "attempt": attempt,
            "request": request,
            "cost": None,
            "progress": None,
            "reason": None,
            "kept_until": None,
        },
        "provider": None,
    }


_TIME_OF = {
    "INITIALIZING": "initializingAt",
    "RUNNING": "startedAt",
    "INTERRUPTING": "stoppedAt",
}


@dataclass(frozen=True)
class ProviderStatus:
    """What a provider knows of a job beside its state; all of it may be missing.

    Attributes:
        code: The provider's code for the state.
        history: Its list of states with dates, UTC and milliseconds.
        ended_at: When everything was over.
        duration_s: Seconds that the step ran.
    """

    code: str = ""
    history: tuple[dict[str, str], ...] = ()
    ended_at: str | None = None
    duration_s: int | None = None


def change_state(
    document: Document,
    state: str,
    message: str,
    *,
    exit_code: int | None = None,
    time: str | None = None,
    provider: ProviderStatus | None = None,
) -> None:
    """Move a job to `state`; the only place where a document's state changes.

    An ended job stays as it ended. Unknown states are kept word for word.

    Args:
        time: When it entered that state, as far as the provider knows; else now.
        provider: What else the provider knows; its history replaces ours.
    """
    status, known = document["status"], provider or ProviderStatus()
    if has_ended(status):
        return
    code, before = known.code or f"JOB_{state}", (status["state"], status["info"])
    time = time or known.ended_at or (known.history[-1]["date"] if known.history else now())
    _write_history(status, state, time, known.history)
    status["state"] = state
    status["info"] = {"code": code, "message": message}
    if before != (state, status["info"]):
        status["lastTransitionDate"] = document["updatedAt"] = time
    if exit_code is not None:
        status["exitCode"] = exit_code
    ended = known.ended_at is not None and has_ended(
        {"state": state, "finalizedAt": known.ended_at}
    )
    if ended or has_ended(status):
        status["finalizedAt"] = time
        status["stoppedAt"] = status.get("stoppedAt") or time
        ran = _seconds(status.get("startedAt"), time)
        status["duration"] = known.duration_s if known.duration_s is not None else ran


def _write_history(
    status: dict[str, Any], state: str, time: str, known: tuple[dict[str, str], ...]
) -> None:
    """Bring the history to `state`, from the provider's own where there is one."""
    if known:
        first = [status["history"][0]] if known[0]["state"] != "QUEUED" else []
        status["history"] = first + [dict(entry) for entry in known]
    if status["history"][-1]["state"] != state:
        status["history"].append({"state": state, "date": time})
    for entry in status["history"]:
        name = _TIME_OF.get(entry["state"])
        if name:
            status[name] = status.get(name) or entry["date"]


def ran_s(status: dict[str, Any]) -> int:
    """How long a job ran, seconds; until now where it still runs."""
    if has_ended(status):
        return int(status.get("duration") or 0)
    return _seconds(status.get("startedAt"), now())


def _seconds(start: str | None, end: str) -> int:
    if not start:
        return 0
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return max(0, round(seconds))  # the clock may have been set back in between
