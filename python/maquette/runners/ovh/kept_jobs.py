"""KEEP_ON_FAIL at OVHcloud: jobs that have failed and run on for a look, as their logs tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maquette.runners.agent_command import KEEP_WORD
from maquette.runners.base import Handle, Status
from maquette.runners.failures import LogEvents, kept_message, reason_kept
from maquette.runners.ovh import responses


def look_command(job_id: str) -> str:
    """The command that gets a person into a job, by OVHcloud's id."""
    return f"ovhai job exec -it {job_id} -- bash"


def with_kept(status: Status, events: LogEvents, handle: Handle) -> Status:
    """The status of a job that runs, as it is if the job has not failed."""
    if not events.kept:
        return status
    return replace(
        status,
        message=kept_message(events.kept, look_command(handle["id"])),
        reason=reason_kept(events, handle["log"]),
        kept_until=str(events.kept.get("until")),
    )


def may_be_kept(job: Mapping[str, Any]) -> bool:
    """Whether a job's log alone tells that it has failed and is kept."""
    return KEEP_WORD in (responses.mapping(job.get("spec")).get("command") or ())
