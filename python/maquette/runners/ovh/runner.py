"""The backend `ovh`."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maquette.config.settings import Settings
from maquette.errors import ConfigError, MaquetteError, NotFound, UsageError
from maquette.jobs.document import Document
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import STATES, has_ended
from maquette.runners import failures
from maquette.runners.base import NO_SECRETS, Handle, Request, ResponseLost, Secrets, Show, Status
from maquette.runners.failures import LogEvents
from maquette.runners.ovh import kept_jobs, responses, status_codes, tokens, writers
from maquette.runners.ovh.client import Client, OverQuota, Unreachable
from maquette.runners.ovh.labels import JOB_LABEL, OURS, our_id
from maquette.runners.ovh.options import OvhOptions
from maquette.scene.atomic import write_text

if TYPE_CHECKING:
    from maquette.planning.estimating import Estimate

LIVE = tuple(state for state, ended in STATES.items() if not ended)
_LOOKS = 4
_FIRST_LOOK_S = 0.3
_QUICK_S, _SLOW_S = 0.2, 5.0
_BYTES_PER_S = 200_000  # what following a log may fetch
_TAIL = 100  # lines of a running job's log that tell how far it is
_SYNC_LIMIT_S = 6 * 3600.0
_DATED = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z \[job\] ?")


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
            "options": spec.options_of(job),
            "log": str(job.log),
            "options_file": job.options_file,
            "given": job.input.carried,
            "needs": preflight.needs_of(job),
            "store": store,
            "data": data.place_of(job.data, job.scene),
        }

    def remarks(self, request: Request) -> list[str]:
        """Say when the keys of a job that fetches its scene itself end before it may."""
        from maquette.runners import key_lifetime

        return key_lifetime.remarks(request["store"], request["body"]["command"])

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Post the job, once.

        Raises:
            UsageError: another job writes to the same prefix, or was posted there first.
            ResponseLost: the answer was lost and the job is not seen; it may still show up.
            MaquetteError: the service refused.
        """
        writers.refuse_second(self.live_jobs(request["url"]), request["body"])
        handle = self._post(request, secrets)
        with contextlib.suppress(Unreachable):  # a job that was posted must not be lost for that
            self._give_way(request, handle)
        return handle

    def _give_way(self, request: Request, handle: Handle) -> None:
        """Stop the job, before its machine is billed, when another was first to write there."""
        live = self.live_jobs(request["url"])
        try:
            writers.refuse_later(live, request["body"], handle["id"])
        except UsageError:
            self.cancel(handle)
            _forget_secrets(request)
            raise

    def _post(self, request: Request, secrets: Secrets) -> Handle:
        client, body = self._client(request["url"]), request["body"]
        if request["store"]:
            from maquette.runners.ovh import agent_job

            body = agent_job.with_secrets(request, secrets)
        try:
            return _handle(request, client.post_once(request["path"], body))
        except ResponseLost as error:
            found = self._look(request)
            if found is not None:
                return found
            raise ResponseLost(
                "the answer to the submission was lost, and the job is not seen yet",
                detail=error.what,
                hint="run the same command again in a minute: it looks for the job first",
            ) from None
        except MaquetteError as error:
            _forget_secrets(request)
            if isinstance(error, OverQuota):
                raise self._over_quota(client, body, error) from None
            raise

    def find(self, request: Request) -> Handle | None:
        """Look the job up by the label that holds our id."""
        selector = f"{JOB_LABEL}={request['job_id']}"
        found = list(self._client(request["url"]).jobs(labelSelector=selector))
        ours = [job for job in found if our_id(job) in (request["job_id"], None)]
        return _handle(request, ours[0]) if ours else None

    def status(self, handle: Handle) -> Status:
        """Ask for the job; when it has ended, keep its log here and say why it failed."""
        status = self._asked(handle)
        if not _is_over(status):
            return self._with_progress(status) if status.state == "RUNNING" else status
        _forget_secrets(handle)
        events = LogEvents(self._keep_log(status.handle or handle))
        reason = responses.why(status, events.reason)
        if events.kept and status.exit_code:  # it had failed before anybody stopped it
            reason = failures.reason_kept(events, handle["log"])
        return replace(status, reason=reason, progress=events.progress)

    def _with_progress(self, status: Status) -> Status:
        """How far the step is, from the log's last lines; unknown when they can not be had."""
        handle = status.handle or {}
        with contextlib.suppress(MaquetteError):
            lines, _ = self._lines(handle, whole=True, tail=_TAIL)
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
            lines = self._lines(handle)[0]
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
            for job in self._client(url).jobs(labelSelector=OURS):
                asked = wanted.get(str(job.get("id")))
                if asked is None:
                    continue
                status = responses.status_of(job, asked)
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
        shown, pause = 0, _QUICK_S
        while True:
            over = not follow or _is_over(self._asked(handle))
            lines, size = self._lines(handle, whole=not over)
            yield from lines[shown:]
            pause = _QUICK_S if len(lines) > shown else min(pause * 1.5, _SLOW_S)
            shown = max(shown, len(lines))
            if over:
                return
            threading.Event().wait(max(pause, size / _BYTES_PER_S))

    def _lines(
        self, handle: Handle, *, whole: bool = False, tail: int = 0
    ) -> tuple[list[str], int]:
        """The log's lines so far and its size.

        Args:
            whole: Leave an unfinished last line out.
            tail: Ask for so many lines from the end only (0: for all).
        """
        wanted = {"tail": tail} if tail else None
        try:
            text = self._client(handle["url"]).text(f"/v1/job/{handle['id']}/log", wanted)
        except (NotFound, ConfigError):  # no log yet, or none any more
            return [], 0
        lines = text.split("\n")
        if whole or not lines[-1]:
            lines.pop()
        return [_DATED.sub("", line.rstrip("\r")) for line in lines], len(text)

    def cancel(self, handle: Handle) -> None:
        """Ask the service to stop the job; silent when it has ended or is gone."""
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

        writers.refuse_second(self.live_jobs(request["url"]), request["body"])
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
        client, path = self._client(handle["url"]), f"/v1/job/{handle['id']}"
        begun = client.post_once(f"{path}/datasync", {"direction": direction})
        self._await_sync(client, path, str(begun.get("id")))

    def jobs(self, url: str, **params: Any) -> list[dict[str, Any]]:
        """The jobs of this tool that the service knows."""
        return list(self._client(url).jobs(labelSelector=OURS, **params))

    def live_jobs(self, url: str) -> list[dict[str, Any]]:
        """Everybody's jobs of the project that have not ended."""
        found = self._client(url).jobs(statusState=list(LIVE))
        return [job for job in found if not has_ended(responses.mapping(job.get("status")))]

    def _client(self, url: str) -> Client:
        """The connection to an address, with the token for it."""
        if url not in self._clients:
            self._clients[url] = Client(url, tokens.find(url)[0])
        return self._clients[url]

    def _look(self, request: Request) -> Handle | None:
        """Look for a job whose submission was not answered; a few times, it may be slow."""
        for attempt in range(_LOOKS):
            threading.Event().wait(_FIRST_LOOK_S * 2**attempt)
            try:
                found = self.find(request)
            except Unreachable:
                continue
            if found is not None:
                return found
        return None

    def _over_quota(self, client: Client, body: dict[str, Any], error: OverQuota) -> OverQuota:
        wanted = body["resources"]
        asked = f"asked: {wanted.get('gpu') or wanted.get('cpu')} × {wanted['flavor']}"
        lines = [error.detail, asked]
        try:
            about = responses.mapping(client.get("/v1/me").get("quotas"))
            live = self.live_jobs(client.url)
            lines.append(f"quota: {json.dumps(about.get('resources'))}, live jobs: {len(live)}")
        except MaquetteError:
            pass
        return OverQuota(
            error.what,
            detail="\n".join(filter(None, lines)),
            hint="`make jobs` shows what runs; GPU=1 or another FLAVOR asks for less",
        )

    def _await_sync(self, client: Client, path: str, sync_id: str) -> None:
        deadline, pause = time.monotonic() + _SYNC_LIMIT_S, _QUICK_S
        while time.monotonic() < deadline:
            copies = responses.mapping(client.get(path).get("status")).get("dataSync")
            for entry in copies if isinstance(copies, list) else ():
                status = responses.mapping(responses.mapping(entry).get("status"))
                if responses.mapping(entry).get("id") != sync_id:
                    continue
                if status.get("state") == "DONE":
                    return
                if status.get("state") in ("FAILED", "ERROR", "INTERRUPTED") or status.get(
                    "endedAt"
                ):
                    info = responses.mapping(status.get("info"))
                    what, hint = status_codes.explain(
                        str(info.get("code")), str(info.get("message"))
                    )
                    raise Unreachable(what, detail=str(info.get("message") or ""), hint=hint)
            threading.Event().wait(pause)
            pause = min(pause * 1.5, _SLOW_S)
        raise Unreachable("the copy to the bucket did not end within six hours")


RUNNER = OvhRunner


def _handle(request: Request, job: Any) -> Handle:
    """How a job is found again: by its id, else by ours; and where its data goes."""
    job_id = responses.mapping(job).get("id")
    if not isinstance(job_id, str) or not job_id:
        raise ResponseLost("the service accepted the job but did not say its id")
    kept = ("url", "job_id", "log", "data", "store")
    return {"id": job_id, **{key: request.get(key) for key in kept}}


def _forget_secrets(job: Request | Handle) -> None:
    """Remove what was left in the bucket for a job that will not come to take it."""
    if job.get("store"):
        from maquette.runners import scene_store

        scene_store.forget(job["store"], job["job_id"])


def _is_over(status: Status) -> bool:
    return has_ended({"state": status.state, "finalizedAt": status.ended_at})


def _gone(handle: Handle) -> Status:
    what = "OVHcloud no longer knows this job: it was deleted there"
    reason = failures.reason(what, detail=f"id {handle['id']}", hint=status_codes.AGAIN)
    return Status(state="FAILED", message=what, handle=handle, reason=reason)
