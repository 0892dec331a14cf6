"""Posting a job once, and finding it again where the answer was lost."""

from __future__ import annotations

import json
import threading
from typing import Any

from maquette.errors import MaquetteError
from maquette.jobs.states import STATES, has_ended
from maquette.runners.base import Handle, Request, ResponseLost, Secrets
from maquette.runners.ovh import responses
from maquette.runners.ovh.client import Client, OverQuota, Unreachable
from maquette.runners.ovh.labels import JOB_LABEL, our_id, worker_of

LIVE = tuple(state for state, ended in STATES.items() if not ended)
_LOOKS = 4
_FIRST_LOOK_S = 0.3


def post(client: Client, request: Request, secrets: Secrets) -> Handle:
    """Post a job; where the answer is lost, look for it.

    Raises:
        ResponseLost: the answer was lost and the job is not seen; it may still show up.
        MaquetteError: the service refused.
    """
    body = request["body"]
    if request["store"]:
        from maquette.runners.ovh import agent_job

        body = agent_job.with_secrets(request, secrets)
    try:
        return handle_of(request, client.post_once(request["path"], body))
    except ResponseLost as error:
        found = _look(client, request)
        if found is not None:
            return found
        raise ResponseLost(
            "the answer to the submission was lost, and the job is not seen yet",
            detail=error.what,
            hint="run the same command again in a minute: it looks for the job first",
        ) from None
    except MaquetteError as error:
        forget_secrets(request)
        if isinstance(error, OverQuota):
            raise _over_quota(client, body, error) from None
        raise


def find(client: Client, request: Request) -> Handle | None:
    """Look the job up by the labels that hold our id and, of a worker job, its number."""
    number = request.get("worker", 0)
    ours = [job for job in jobs_of(client, request["job_id"]) if worker_of(job) == number]
    return handle_of(request, ours[0]) if ours else None


def jobs_of(client: Client, job_id: str) -> list[dict[str, Any]]:
    """The job that has our id, and its worker jobs, ended or not."""
    found = client.jobs(labelSelector=f"{JOB_LABEL}={job_id}")
    return [job for job in found if our_id(job) in (job_id, None)]


def live_jobs(client: Client) -> list[dict[str, Any]]:
    """Everybody's jobs of the project that have not ended."""
    found = client.jobs(statusState=list(LIVE))
    return [job for job in found if not has_ended(responses.mapping(job.get("status")))]


def handle_of(request: Request, job: Any) -> Handle:
    """How a job is found again: by its id, else by ours; and where its data goes."""
    job_id = responses.mapping(job).get("id")
    if not isinstance(job_id, str) or not job_id:
        raise ResponseLost("the service accepted the job but did not say its id")
    kept = ("url", "job_id", "log", "data", "store")
    return {"id": job_id, **{key: request.get(key) for key in kept}}


def forget_secrets(job: Request | Handle) -> None:
    """Remove what was left in the bucket for a job that will not come to take it."""
    if job.get("store"):
        from maquette.runners import scene_store
        from maquette.runners.ovh import agent_job

        scene_store.forget(job["store"], agent_job.secrets_id(job))


def _look(client: Client, request: Request) -> Handle | None:
    """Look for a job whose submission was not answered; a few times, it may be slow."""
    for attempt in range(_LOOKS):
        threading.Event().wait(_FIRST_LOOK_S * 2**attempt)
        try:
            found = find(client, request)
        except Unreachable:
            continue
        if found is not None:
            return found
    return None


def _over_quota(client: Client, body: dict[str, Any], error: OverQuota) -> OverQuota:
    wanted = body["resources"]
    asked = f"asked: {wanted.get('gpu') or wanted.get('cpu')} × {wanted['flavor']}"
    lines = [error.detail, asked]
    try:
        about = responses.mapping(client.get("/v1/me").get("quotas"))
        live = live_jobs(client)
        lines.append(f"quota: {json.dumps(about.get('resources'))}, live jobs: {len(live)}")
    except MaquetteError:
        pass
    return OverQuota(
        error.what,
        detail="\n".join(filter(None, lines)),
        hint="`make jobs` shows what runs; GPU=1 or another FLAVOR asks for less",
    )
