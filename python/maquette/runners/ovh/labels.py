"""Labels that tell our jobs from others, and one of ours from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOOL_LABEL = {"maquette": "job"}
OURS = "maquette=job"  # the same as a selector
JOB_LABEL, USER_LABEL, HOST_LABEL = "maquette-job", "maquette-user", "maquette-host"
WORKER_LABEL = "maquette-worker"  # of a worker job, which has the id of its driver


def labels(job: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of a job as the service returns it; empty when it returns none."""
    spec = job.get("spec")
    found = spec.get("labels") if isinstance(spec, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def our_id(job: Mapping[str, Any]) -> str | None:
    """Our id of a job; None when its labels are missing."""
    return labels(job).get(JOB_LABEL)


def worker_of(job: Mapping[str, Any]) -> int:
    """Which worker of our id's job it is, from 1; 0: it is the job itself."""
    text = str(labels(job).get(WORKER_LABEL, ""))
    return int(text) if text.isdecimal() else 0
