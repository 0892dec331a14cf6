"""The job document: an OVHcloud job, with our own facts under the key `maquette`."""

from __future__ import annotations

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
            "attempt": attempt,
            "request": request,
            "cost": None,
            "progress": None,
            "reason": None,
        },
        "provider": None,
    }


_TIME_OF = {
    "INITIALIZING": "initializingAt",
    "RUNNING": "startedAt",
    "INTERRUPTING": "stoppedAt",
}


def change_state(
    document: Document, state: str, message: str, *, exit_code: int | None = None
) -> None:
    """Move a job to `state`; the only place where a document's state changes.

    An ended job stays as it ended. Unknown states are kept word for word.
    """
    status = document["status"]
    if has_ended(status):
        return
    time = now()
    if status["state"] != state:
        status["history"].append({"state": state, "date": time})
    status["state"] = state
    status["info"] = {"code": f"JOB_{state}", "message": message}
    status["lastTransitionDate"] = document["updatedAt"] = time
    if state in _TIME_OF:
        status[_TIME_OF[state]] = status.get(_TIME_OF[state]) or time
    if exit_code is not None:
        status["exitCode"] = exit_code
    if has_ended(status):
        status["finalizedAt"] = time
        status["stoppedAt"] = status.get("stoppedAt") or time
        status["duration"] = _seconds(status.get("startedAt"), time)


def _seconds(start: str | None, end: str) -> int:
    if not start:
        return 0
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
