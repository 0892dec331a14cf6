"""Jobs of ours that no document knows: finding and stopping them, or adopting them again."""

from __future__ import annotations

import re
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError

from maquette.config.settings import Settings
from maquette.jobs.document import Document, new_document
from maquette.jobs.ledger import copies
from maquette.jobs.spec import JobSpec
from maquette.person import user_name
from maquette.pipelines.registry import DEFAULT, get_pipeline
from maquette.runners import tracking
from maquette.runners.agent_command import store_in_command
from maquette.runners.base import Handle, Status
from maquette.runners.ovh import data, dates, responses, workers, writers
from maquette.runners.ovh.labels import (
    HOST_LABEL,
    JOB_LABEL,
    TOOL_LABEL,
    USER_LABEL,
    our_id,
    worker_of,
)
from maquette.runners.ovh.labels import labels as labels_in
from maquette.runners.ovh.options import OvhOptions
from maquette.storage import datastores

_JOB_ID = re.compile(r"[a-z]+-\d{8}-\d{6}-[0-9a-f]{6}$")


class JobService(Protocol):
    """What is asked of the service here; the runner does it."""

    def jobs(self, url: str) -> list[dict[str, Any]]:
        """The jobs of this tool that the service knows."""

    def live_jobs(self, url: str) -> list[dict[str, Any]]:
        """Everybody's jobs of the project that have not ended."""

    def status_in_list(self, job: dict[str, Any], handle: Handle) -> Status:
        """Read a job of a list."""

    def cancel(self, handle: Handle) -> None:
        """Ask for a job to be stopped."""


@dataclass(frozen=True)
class Orphan:
    """A running job of ours that no document knows."""

    id: str
    job_id: str
    model: str
    step: str
    state: str
    since: str | None
    eur_at_most: float | None

    def to_json(self) -> dict[str, Any]:
        """The facts for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Orphans:
    """What a sweep found, and how many jobs it will never touch."""

    ours: list[Orphan]
    others: int


def find(service: JobService, settings: Settings) -> Orphans:
    """Find running jobs that this person started from this machine and that no document knows.

    A worker job goes with its driver while that runs, and is one of them when it does not.
    """
    known = {path.stem for path in copies(settings.logs_dir)}
    ours, others = [], 0
    live = service.live_jobs(settings.of(OvhOptions).url)
    for job in live:
        labels = labels_in(job)
        is_mine = _is_mine(labels) and labels.get(HOST_LABEL) == socket.gethostname()[:63]
        if not is_mine:
            others += 1
        elif workers.is_left(job, live) if worker_of(job) else labels.get(JOB_LABEL) not in known:
            ours.append(_orphan(job, labels))
    return Orphans(ours, others)


def stop(service: JobService, settings: Settings, orphan: Orphan) -> None:
    """Ask the service to stop a job and its workers; it copies its data to the bucket first."""
    url = settings.of(OvhOptions).url
    service.cancel({"id": orphan.id, "url": url, "job_id": orphan.job_id, "workers": []})


def adopt(service: JobService, settings: Settings) -> list[Document]:
    """Write documents for all jobs of this person that have none here, oldest first."""
    found = [job for job in service.jobs(settings.of(OvhOptions).url) if _is_mine(labels_in(job))]
    known = {path.stem for path in copies(settings.logs_dir)}
    adopted = []
    for job in sorted(found, key=lambda job: str(dates.normal(job.get("createdAt")))):
        rebuilt = _rebuilt(settings, job)
        if rebuilt is None or rebuilt.id in known or worker_of(job):
            continue
        handle = {"id": str(job["id"]), "url": settings.of(OvhOptions).url, "job_id": rebuilt.id}
        place = data.place_of(rebuilt.data, rebuilt.scene)
        handle_all: Handle = {**handle, "log": str(rebuilt.log), "data": place}
        handle_all |= {"store": _store_of(rebuilt), **_workers_of(rebuilt, found)}
        document = _document(rebuilt, job, handle_all)
        tracking.apply(document, service.status_in_list(job, handle_all))
        tracking.ledger_of(rebuilt).adopt(document)
        adopted.append(document)
    return adopted


def _workers_of(rebuilt: JobSpec, jobs: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What a handle keeps of a job's worker jobs; nothing where it has none."""
    numbers = workers.by_number(job for job in jobs if our_id(job) == rebuilt.id)
    return {"workers": [id for _, id in sorted(numbers.items())]} if numbers else {}


def _document(rebuilt: JobSpec, job: dict[str, Any], handle: dict[str, Any]) -> Document:
    request = {**handle, "adopted": True, "step": rebuilt.step, "body": dict(job["spec"])}
    document = new_document(rebuilt, "ovh", request, 1)
    created = dates.normal(job.get("createdAt")) or document["createdAt"]
    document |= {"createdAt": created, "updatedAt": created}
    document["status"]["history"][0]["date"] = document["status"]["queuedAt"] = created
    document["maquette"]["handle"] = handle
    return document


def _rebuilt(settings: Settings, job: dict[str, Any]) -> JobSpec | None:
    """The job as we once asked for it; None when its labels are not ours to trust."""
    labels, body = labels_in(job), responses.mapping(job.get("spec"))
    job_id = str(labels.get(JOB_LABEL))
    if not _JOB_ID.match(job_id):
        return None
    place = next(iter(writers.writable_prefixes(body)), writers.WritablePrefix("", "", ""))
    command = tuple(str(word) for word in body.get("command") or ())
    store = store_in_command(command) or {}
    alias = place.alias or datastores.alias_of(store.get("endpoint", ""), store.get("region", ""))
    given: dict[str, Any] = {
        "model": labels.get("maquette-model"),
        "group": labels.get("maquette-group"),
        "pipeline": str(labels.get("maquette-pipeline", DEFAULT)),
        "base_dir": settings.base_dir,
        "bucket_name": place.container,
    }
    if alias in datastores.known():
        given["datastore"] = alias
    try:
        chosen = Settings(**given)
    except ValidationError:  # labels that are no names could lead out of the folders
        return None
    step = job_id.partition("-")[0]
    if step not in get_pipeline(chosen.pipeline).steps:
        return None
    return JobSpec(
        id=job_id,
        model=chosen.model,
        group=chosen.group,
        pipeline=chosen.pipeline,
        step=step,
        scene=chosen.scene_dir,
        logs=chosen.logs_dir,
        command=command,
        options={},
        data=chosen.data,
        spec={key: body[key] for key in ("name", "image", "resources", "labels") if key in body},
    )


def _store_of(rebuilt: JobSpec) -> dict[str, Any] | None:
    """The store of a job whose agent carries the scene, if it is still known here."""
    store, alias = store_in_command(rebuilt.command), rebuilt.data.chosen_datastore
    return {**store, "datastore": alias} if store and alias else None


def _orphan(job: dict[str, Any], labels: dict[str, Any]) -> Orphan:
    cost, number = responses.cost_of(job, datetime.now(UTC)), worker_of(job)
    return Orphan(
        id=str(job.get("id")),
        job_id=str(labels.get(JOB_LABEL)),
        model=str(labels.get("maquette-model")),
        step=str(labels.get("maquette-step")) + (f", worker {number}" if number else ""),
        state=str(responses.mapping(job.get("status")).get("state")),
        since=dates.normal(job.get("createdAt")),
        eur_at_most=cost["at_most"] if cost else None,
    )


def _is_mine(labels: dict[str, Any]) -> bool:
    is_ours = TOOL_LABEL.items() <= labels.items() and JOB_LABEL in labels
    return is_ours and labels.get(USER_LABEL) == user_name()[:63]
