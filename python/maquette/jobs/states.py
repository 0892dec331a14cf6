"""The thirteen states of an OVHcloud job, used for every backend."""

from __future__ import annotations

from typing import Any

# State → whether the job has ended. Unknown words are kept as they are and count as not ended.
STATES: dict[str, bool] = {
    "QUEUED": False,
    "INITIALIZING": False,
    "PENDING": False,
    "RUNNING": False,
    "INTERRUPTING": False,
    "TIMEOUT": False,
    "FINALIZING": False,
    "RESTARTING": False,
    "DONE": True,
    "FAILED": True,
    "ERROR": True,
    "INTERRUPTED": True,
    "SYNC_FAILED": True,
}


def has_ended(status: dict[str, Any]) -> bool:
    """Whether a job's `status` object says that nothing runs any more.

    TIMEOUT is ambiguous at OVHcloud; it counts as ended once `finalizedAt` is set.
    """
    return STATES.get(str(status.get("state")), False) or bool(status.get("finalizedAt"))
