"""A job on another machine gets keys once: say before it starts when they end before it may."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from maquette.counting import counted
from maquette.errors import MaquetteError
from maquette.runners.agent_command import limit_in_command
from maquette.storage import credentials, datastores
from maquette.storage.signing import Credentials

_TO_PUSH = timedelta(minutes=10)  # after a step was stopped
_LASTING = "keys without a session token last"


def remarks(store: dict[str, Any] | None, command: Iterable[str]) -> list[str]:
    """What to say of the keys that a job will be given; of missing ones its submission tells.

    Args:
        store: Where the job's scene lies, with its alias; None: it gets no keys.
        command: The agent's command line.
    """
    if store is None:
        return []
    with suppress(MaquetteError):
        keys = credentials.find(datastores.find(store["datastore"]).profile)
        told = ends_before(keys, limit_in_command(command), datetime.now(UTC))
        return [told] if told else []
    return []


def ends_before(keys: Credentials, limit_hours: float | None, now: datetime) -> str:
    """A sentence where keys end before a job has to; "" where they last.

    Args:
        limit_hours: When the job is stopped; None: never.
    """
    ends = keys.expires_at
    if ends is None and not keys.token:
        return ""
    if ends is None:
        return (
            "the keys for the data store are those of a session, and nobody tells when they end: "
            f"what the job makes after that can not be pushed; {_LASTING}"
        )
    left = ends - now
    if limit_hours is not None and timedelta(hours=limit_hours) + _TO_PUSH <= left:
        return ""
    may = "has no time limit" if limit_hours is None else f"may take {limit_hours:g} h"
    hours = int((left - _TO_PUSH) / timedelta(hours=0.1)) / 10
    shorter = f", MAX_HOURS={hours:g} ends the job before" if hours > 0 else ""
    return (
        f"the keys for the data store end {_when(ends, left)}, and the job {may}: what it makes "
        f"after that can not be pushed; {_LASTING}{shorter}"
    )


def _when(ends: datetime, left: timedelta) -> str:
    """In how long, and when by the clock here."""
    minutes = max(0, int(left / timedelta(minutes=1)))
    if minutes < 120:
        return f"in {counted(minutes, 'minute')}, at {ends.astimezone():%H:%M}"
    return f"in {minutes // 60} hours, at {ends.astimezone():%Y-%m-%d %H:%M}"
