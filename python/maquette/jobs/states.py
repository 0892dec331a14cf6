"""The thirteen states of an OVHcloud job, used for every backend."""

from __future__ import annotations

from collections.abc import Mapping
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


def has_ended(status: Mapping[str, Any]) -> bool:
    """Whether a job's `status` object says that nothing runs any more.

    TIMEOUT is ambiguous at OVHcloud, and a word that nobody knows may mean anything: both count
    as ended once `finalizedAt` is set.
    """
    state = str(status.get("state"))
    ambiguous = state == "TIMEOUT" or state not in STATES
    return STATES.get(state, False) or (ambiguous and bool(status.get("finalizedAt")))
