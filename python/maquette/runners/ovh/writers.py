"""One writer for each prefix in a bucket: who writes where, and who of two goes first; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from maquette.errors import UsageError
from maquette.runners.agent_command import store_in_command
from maquette.runners.ovh import dates, responses
from maquette.runners.ovh.labels import our_id

Job = Mapping[str, Any]


@dataclass(frozen=True)
class WritablePrefix:
    """A prefix that a job may write to."""

    alias: str
    container: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.container}@{self.alias}/{self.prefix}"

    def overlaps(self, other: WritablePrefix) -> bool:
        """Whether an object could lie in both; an agent knows its store by no alias."""
        is_other = self.alias != other.alias and self.alias and other.alias
        if is_other or self.container != other.container:
            return False
        mine, theirs = (f"{prefix}/" if prefix else "" for prefix in (self.prefix, other.prefix))
        return mine.startswith(theirs) or theirs.startswith(mine)


def writable_prefixes(body: Any) -> list[WritablePrefix]:
    """Every prefix that a job of this body may write to."""
    command = responses.mapping(body).get("command")
    of_agent = store_in_command(map(str, command)) if isinstance(command, list) else None
    found = [WritablePrefix("", of_agent["bucket"], of_agent["prefix"])] if of_agent else []
    volumes = responses.mapping(body).get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        volume = responses.mapping(volume)
        nested = responses.mapping(volume.get("volumeSource"))
        store = responses.mapping(volume.get("dataStore") or nested.get("dataStore"))
        if store.get("container") and volume.get("permission") != "RO":
            prefix = str(store.get("prefix") or "").strip("/")
            found.append(WritablePrefix(str(store.get("alias")), str(store["container"]), prefix))
    return found


def refuse_second(live: Iterable[Job], body: Job) -> None:
    """Refuse to send anything to where another live job may write.

    Raises:
        UsageError: there is one; names it.
    """
    for job, place in rivals(live, body):
        raise _refusal(job, place)


def refuse_later(live: Iterable[Job], body: Job, job_id: str) -> None:
    """Refuse, after two were posted at the same moment, when ours may not be the first.

    Each of the two asks once its job is listed, so at least one sees the other, and the earlier one
    alone goes on. Where dates are too coarse to tell, neither does.

    Args:
        job_id: The service's id of ours.

    Raises:
        UsageError: another job was first, or may have been.
    """
    live = list(live)
    ours = next((job for job in live if job.get("id") == job_id), {})
    _, latest = dates.span(ours.get("createdAt"))
    for job, place in rivals(live, body):
        earliest, _ = dates.span(job.get("createdAt"))
        if job.get("id") != job_id and not latest <= earliest:
            raise _refusal(job, place)


def rivals(live: Iterable[Job], body: Job) -> Iterable[tuple[Job, WritablePrefix]]:
    """The jobs that may write where a job of this body may, and where.

    A job and its worker jobs have one id of ours, and are one writer.
    """
    mine, us = writable_prefixes(body), our_id({"spec": body})
    for job in live:
        if us is not None and our_id(job) == us:
            continue
        for place in writable_prefixes(job.get("spec")):
            if any(place.overlaps(own) for own in mine):
                yield job, place


def _refusal(job: Job, place: WritablePrefix) -> UsageError:
    return UsageError(
        f"job {our_id(job) or job.get('id')} already writes to {place}",
        detail="the last of two jobs to end would replace the other's files",
        hint="wait for it or stop it; `make jobs` lists ours, `make sweep` lost ones",
    )
