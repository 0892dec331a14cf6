"""Worker jobs that share a step's shards with its driving job: posted after it, ended with it.

They carry the id of the job and a number as labels, and so are found again, and count as one
writer with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from maquette.counting import counted
from maquette.errors import MaquetteError
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.person import user_name
from maquette.runners.base import Handle, Request, Secrets, Status
from maquette.runners.ovh import posting, responses, writers
from maquette.runners.ovh.client import Client, OverQuota
from maquette.runners.ovh.labels import USER_LABEL, labels, our_id, worker_of

Job = Mapping[str, Any]
_END_LIMIT_S = 60.0
_POLL_S = 0.5


def requests_of(
    job: JobSpec, body: dict[str, Any], store: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """What is posted for each worker job, and the same as `ovhai` lines; none without WORKERS."""
    from maquette.runners.ovh import agent_job, spec
    from maquette.runners.ovh.command_line import command_line

    numbers = range(1, 1 + agent_job.workers_of(job)) if store else ()
    bodies = [spec.worker_body_of(job, body, store, number) for number in numbers if store]
    return [{"body": each, "ovhai": command_line(each)} for each in bodies]


def remarks(request: Request) -> list[str]:
    """What a person should know of a job with workers before it is sent."""
    count = len(request.get("workers") or ())
    if not count:
        return []
    further = counted(count, "further job")
    return [f"WORKERS={count} starts {further}, each paid as the first; CARRY=mount starts none"]


def post_missing(client: Client, request: Request, secrets: Secrets, handle: Handle) -> Handle:
    """Post the worker jobs that never were; the driver goes on with those that there are.

    Returns:
        The handle with their ids in `workers`, and with `remarks`: what to say of those that
        could not be had.
    """
    wanted = request.get("workers") or ()
    if not wanted:
        return handle
    remarks: list[str] = []
    try:
        known = by_number(of(client, handle))
    except MaquetteError as error:
        told = f"no worker job was started: {error.what}"
        return {**handle, "workers": _ids({}, len(wanted)), "remarks": [told]}
    for number, each in enumerate(wanted, 1):
        if number in known:
            continue
        try:
            one = posting.post(client, {**request, **each, "worker": number}, secrets)
            known[number] = one["id"]
        except OverQuota as error:
            started = f"{counted(len(known), 'worker job')} of {len(wanted)}"
            remarks.append(f"{started}: the quota suffices for no more. {_in_a_line(error)}")
            break
        except (MaquetteError, OSError) as error:
            what = getattr(error, "what", str(error))
            remarks.append(f"worker {number} of {len(wanted)} was not started: {what}")
    return {**handle, "workers": _ids(known, len(wanted)), "remarks": remarks}


def of(client: Client, handle: Handle) -> list[dict[str, Any]]:
    """The worker jobs of a job, ended or not."""
    return [job for job in posting.jobs_of(client, handle["job_id"]) if worker_of(job)]


def with_ids(client: Client, request: Request, handle: Handle) -> Handle:
    """The handle of a job that was found again, with the worker jobs that were posted for it."""
    wanted = len(request.get("workers") or ())
    if not wanted:
        return handle
    return {**handle, "workers": _ids(by_number(of(client, handle)), wanted)}


def by_number(jobs: Iterable[Job]) -> dict[int, str]:
    """The service's ids of worker jobs."""
    return {worker_of(job): str(job.get("id")) for job in jobs if worker_of(job)}


def _ids(known: Mapping[int, str], count: int) -> list[str]:
    """What a handle keeps: the ids in order, "" for a worker job that could not be had."""
    return [known.get(number, "") for number in range(1, count + 1)]


def stop(client: Client, handle: Handle) -> None:
    """Ask for all worker jobs of a job to be stopped; silent about those that have ended."""
    if "workers" in handle:
        for job in of(client, handle):
            _stop(client, job)


def with_cost(status: Status, workers: Iterable[Job], *, is_over: bool) -> Status:
    """The status of a job with the cost of its worker jobs too.

    Args:
        is_over: The job has ended; workers that have not are given a minute for that.
    """
    until = datetime.now(UTC) + timedelta(minutes=1 if is_over else 0)
    costs = [cost for job in workers if (cost := responses.cost_of(job, until))]
    told = [status.cost, *costs] if status.cost else costs
    if not costs or not told[0]:
        return status
    at_most = [cost["at_most"] for cost in told if cost]
    total = None if None in at_most else round(sum(at_most), 4)
    minutes = sum(cost["minutes"] for cost in told if cost)
    return replace(status, cost={**told[0], "at_most": total, "minutes": minutes})


def end_left(client: Client, live: Iterable[Job], body: Job) -> bool:
    """Stop worker jobs of this person whose driver has ended, where a new job is to write.

    Waits for their end for a while, since until then they are writers there.

    Returns:
        Whether there were any.
    """
    live = list(live)
    left = [
        job
        for job, _ in writers.rivals(live, body)
        if is_left(job, live) and labels(job).get(USER_LABEL) == user_name()[:63]
    ]
    for job in left:
        _stop(client, job)
    deadline = time.monotonic() + _END_LIMIT_S
    for job in left:
        while not _has_ended(client, job) and time.monotonic() < deadline:
            threading.Event().wait(_POLL_S)
    return bool(left)


def is_left(job: Job, live: Iterable[Job]) -> bool:
    """Whether it is a worker job whose driver is not among the live jobs."""
    drivers = {our_id(one) for one in live if not worker_of(one)}
    return bool(worker_of(job)) and our_id(job) not in drivers


def _stop(client: Client, job: Job) -> None:
    if not has_ended(responses.mapping(job.get("status"))):
        with suppress(MaquetteError):
            client.put(f"/v1/job/{job.get('id')}/kill")


def _has_ended(client: Client, job: Job) -> bool:
    with suppress(MaquetteError):
        found = responses.mapping(client.get(f"/v1/job/{job.get('id')}"))
        return has_ended(responses.mapping(found.get("status")))
    return False


def _in_a_line(error: MaquetteError) -> str:
    return "; ".join(filter(None, error.detail.splitlines()))
