"""The backend `ovh`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maquette.config.settings import Settings
from maquette.errors import ConfigError, MaquetteError, NotFound, UsageError
from maquette.jobs.document import Document
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import failures
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Show, Status
from maquette.runners.failures import LogEvents
from maquette.runners.ovh import (
    job_log,
    kept_jobs,
    posting,
    responses,
    status_codes,
    synchronising,
    tokens,
    workers,
    writers,
)
from maquette.runners.ovh.client import Client, Unreachable
from maquette.runners.ovh.labels import OURS
from maquette.runners.ovh.options import OvhOptions
from maquette.scene.atomic import write_text

if TYPE_CHECKING:
    from maquette.planning.estimating import Estimate

_YOUNG = ("QUEUED", "INITIALIZING", "PENDING", "RUNNING")  # work for workers may be ahead
_TAIL = 100  # lines of a running job's log that tell how far it is


class OvhRunner:
    """Runs steps as jobs of OVHcloud AI Training, or of its emulator."""

    name = "ovh"
    grace_s = 60.0  # a submission whose answer was lost may show up this late

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    def plan(self, job: JobSpec) -> Request:
        """Say what would be posted, and the same as a line for the `ovhai` program."""
        from maquette.runners.ovh import agent_job, data, preflight, spec
        from maquette.runners.ovh.command_line import command_line

        store = agent_job.store_of(job)
        body = spec.body_of(job, store)
        return {
            "job_id": job.id,
            "step": job.step,
            "url": job.of(OvhOptions).url,
            "method": "POST",
            "path": "/v1/job",
            "body": body,
            "ovhai": command_line(body),
            "workers": workers.requests_of(job, body, store),
            "options": spec.options_of(job),
            "log": str(job.log),
            "options_file": job.options_file,
            "given": job.input.carried,
            "needs": preflight.needs_of(job),
            "store": store,
            "data": data.place_of(job.data, job.scene),
        }

    def remarks(self, request: Request) -> list[str]:
        """Say how many jobs are paid, and when the keys of one end before it may."""
        from maquette.runners import key_lifetime

        told = key_lifetime.remarks(request["store"], request["body"]["command"])
        return [*workers.remarks(request), *told]

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Post the job, once, then the worker jobs that share its shards, as many as can be had.

        Raises:
            UsageError: another job writes to the same prefix, or was posted there first.
            ResponseLost: the answer was lost and the job is not seen; it may still show up.
            MaquetteError: the service refused.
        """
        self._refuse_second(request)
        client = self._client(request["url"])
        handle = posting.post(client, request, secrets)
        with contextlib.suppress(Unreachable):  # a job that was posted must not be lost for that
            self._give_way(request, handle)
        return workers.post_missing(client, request, secrets, handle)

    def complete(self, request: Request, handle: Handle, secrets: Secrets) -> Handle | None:
        """Post the worker jobs of a live job that were never posted; None where none was."""
        if not request.get("workers"):
            return None
        status = self.status(handle)
        if status.state not in _YOUNG or status.kept_until:
            return None
        client = self._client(request["url"])
        before = workers.with_ids(client, request, handle)["workers"]
        completed = workers.post_missing(client, request, secrets, handle)
        return completed if completed["workers"] != before else None

    def _refuse_second(self, request: Request) -> None:
        """Refuse a second writer, once worker jobs that an ended one left there are gone."""
        live = self.live_jobs(request["url"])
        if workers.end_left(self._client(request["url"]), live, request["body"]):
            live = self.live_jobs(request["url"])
        writers.refuse_second(live, request["body"])

    def _give_way(self, request: Request, handle: Handle) -> None:
        """Stop the job, before its machine is billed, when another was first to write there."""
        live = self.live_jobs(request["url"])
        try:
            writers.refuse_later(live, request["body"], handle["id"])
        except UsageError:
            self.cancel(handle)
            posting.forget_secrets(request)
            raise

    def find(self, request: Request) -> Handle | None:
        """Look the job up by the label that holds our id."""
        client = self._client(request["url"])
        found = posting.find(client, request)
        return workers.with_ids(client, request, found) if found else None

    def status(self, handle: Handle) -> Status:
        """Ask for the job; when it has ended, keep its log here and say why it failed."""
        status = self._with_workers(self._asked(handle))
        if not _is_over(status):
            return self._with_progress(status) if status.state == "RUNNING" else status
        posting.forget_secrets(handle)
        events = LogEvents(self._keep_log(status.handle or handle))
        reason = responses.why(status, events.reason)
        if events.kept and status.exit_code:  # it had failed before anybody stopped it
            reason = failures.reason_kept(events, handle["log"])
        return replace(status, reason=reason, progress=events.progress)

    def _with_workers(self, status: Status) -> Status:
        """With what its worker jobs cost; those that outlive the job are stopped."""
        from maquette.runners import scene_store

        handle, over = status.handle or {}, _is_over(status)
        if "workers" not in handle:
            return status
        with contextlib.suppress(MaquetteError):
            client = self._client(handle["url"])
            if over:
                workers.stop(client, handle)
                for number in range(1, 1 + len(handle["workers"])):
                    posting.forget_secrets({**handle, "worker": number})
                scene_store.forget_notes(handle["store"], handle["job_id"])
            return workers.with_cost(status, workers.of(client, handle), is_over=over)
        return status

    def _with_progress(self, status: Status) -> Status:
        """How far the step is, from the log's last lines; unknown when they can not be had."""
        handle = status.handle or {}
        with contextlib.suppress(MaquetteError):
            lines, _ = job_log.lines(
                self._client(handle["url"]), handle["id"], whole=True, tail=_TAIL
            )
            events = LogEvents(lines)
            return kept_jobs.with_kept(replace(status, progress=events.progress), events, handle)
        return status

    def _asked(self, handle: Handle) -> Status:
        """Ask by the service's id, then by ours; a job that neither finds has failed."""
        client = self._client(handle["url"])
        try:
            return responses.status_of(client.get(f"/v1/job/{handle['id']}"), handle)
        except NotFound:
            again = self.find(handle)
            if again is None:
                return _gone(handle)
            return responses.status_of(client.get(f"/v1/job/{again['id']}"), again)

    def _keep_log(self, handle: Handle) -> list[str]:
        kept = Path(handle["log"])
        if kept.exists():
            return kept.read_text(encoding="utf-8").splitlines()
        try:
            lines = job_log.lines(self._client(handle["url"]), handle["id"])[0]
        except Unreachable:  # a log that can not be had must not hide the state
            return []
        with contextlib.suppress(OSError):  # nor must a full disk
            write_text(kept, "".join(f"{line}\n" for line in lines))
        return lines

    def statuses(self, handles: Iterable[Handle]) -> dict[str, Status]:
        """Ask for many jobs with the list of ours, a page of hundreds a request."""
        found: dict[str, Status] = {}
        by_url: dict[str, dict[str, Handle]] = {}
        for handle in handles:
            by_url.setdefault(handle["url"], {})[handle["id"]] = handle
        for url, wanted in by_url.items():
            if len(wanted) == 1:
                continue
            jobs: Iterable[dict[str, Any]] = self._client(url).jobs(labelSelector=OURS)
            if any(handle.get("workers") for handle in wanted.values()):
                jobs = list(jobs)
            for job in jobs:
                asked = wanted.get(str(job.get("id")))
                if asked is None:
                    continue
                status = responses.status_of(job, asked)
                if asked.get("workers"):
                    of_job = [one for one in jobs if str(one.get("id")) in asked["workers"]]
                    status = workers.with_cost(status, of_job, is_over=False)
                # One that has ended or may be kept is asked about by itself, for its log.
                if not _is_over(status) and not kept_jobs.may_be_kept(job):
                    found[asked["id"]] = status
                if len(found) == len(wanted):
                    break
        return found

    def status_in_list(self, job: dict[str, Any], handle: Handle) -> Status:
        """Read a job of a list; one that has ended is asked about by itself, for its log."""
        status = responses.status_of(job, handle)
        return self.status(handle) if _is_over(status) else status

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the log's lines, by asking for the text again and again.

        The text is what can be counted on: whether the stream begins at the log's start after a
        reconnection is not known. Pauses grow with the log's size and with its silence.
        """
        if not handle:
            return
        client = self._client(handle["url"])
        yield from job_log.read(client, handle["id"], follow, lambda: _is_over(self._asked(handle)))

    def cancel(self, handle: Handle) -> None:
        """Ask the service to stop the job and its workers; silent when it has ended or is gone."""
        try:
            self._kill(handle)
        finally:
            with contextlib.suppress(MaquetteError):
                workers.stop(self._client(handle["url"]), handle)

    def _kill(self, handle: Handle) -> None:
        try:
            self._client(handle["url"]).put(f"/v1/job/{handle['id']}/kill")
        except NotFound:
            return
        except ConfigError:
            if not _is_over(self._asked(handle)):
                raise

    def send(self, request: Request, show: Show) -> None:
        """Push the scene, with the step's options and its input."""
        from maquette.runners.ovh import data

        self._refuse_second(request)
        data.send(request, show)

    def collect(self, handle: Handle) -> None:
        """Pull what the job left."""
        from maquette.runners.ovh import data

        data.collect(handle["data"])

    def fallback_options(self, document: Document, settings: Settings) -> dict[str, Any]:
        """Let the job's agent fetch the scene, where OVHcloud could not, unless CARRY is given."""
        has_agent = bool(document["maquette"]["request"].get("store"))
        is_free = settings.of(OvhOptions).carry == "auto" and not has_agent
        provider = responses.mapping(document["provider"])
        return {"carry": "store"} if is_free and responses.has_refused_store(provider) else {}

    def estimate(self, settings: Settings) -> Estimate:
        """What the steps of a scene will take on FLAVOR, with the prices of now."""
        from maquette.runners.ovh import estimates

        return estimates.estimate(settings)

    def adopt(self, settings: Settings) -> list[Document]:
        """Write documents for the jobs that the service knows and this folder lost."""
        from maquette.runners.ovh import orphans

        return orphans.adopt(self, settings)

    def push_now(self, handle: Handle) -> None:
        """Have the job's files copied to the bucket now, and wait for that.

        Raises:
            UsageError: the job neither runs nor holds data that could not be copied.
            MaquetteError: the copy failed.
        """
        state = self._asked(handle).state
        if handle.get("store"):
            raise UsageError(
                "this job copies its files to the bucket by itself, every SYNC_MINUTES",
                hint="`make pull-data` brings what is there",
            )
        if state not in ("RUNNING", "SYNC_FAILED"):
            raise UsageError(
                f"the job is {state}: there is nothing to copy",
                hint="this is for jobs that are RUNNING or SYNC_FAILED",
            )
        self.synchronise(handle, "push")

    def synchronise(self, handle: Handle, direction: str) -> None:
        """Have a job's volumes copied to (push) or from (pull) the bucket, and wait for that."""
        synchronising.synchronise(self._client(handle["url"]), handle["id"], direction)

    def jobs(self, url: str, **params: Any) -> list[dict[str, Any]]:
        """The jobs of this tool that the service knows."""
        return list(self._client(url).jobs(labelSelector=OURS, **params))

    def live_jobs(self, url: str) -> list[dict[str, Any]]:
        """Everybody's jobs of the project that have not ended."""
        return posting.live_jobs(self._client(url))

    def _client(self, url: str) -> Client:
        """The connection to an address, with the token for it."""
        if url not in self._clients:
            self._clients[url] = Client(url, tokens.find(url)[0])
        return self._clients[url]


RUNNER = OvhRunner


def _is_over(status: Status) -> bool:
    return has_ended({"state": status.state, "finalizedAt": status.ended_at})


def _gone(handle: Handle) -> Status:
    what = "OVHcloud no longer knows this job: it was deleted there"
    reason = failures.reason(what, detail=f"id {handle['id']}", hint=status_codes.AGAIN)
    return Status(state="FAILED", message=what, handle=handle, reason=reason)
