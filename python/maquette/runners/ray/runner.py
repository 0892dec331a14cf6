"""Jobs on a Ray cluster, by its Jobs API; the cluster is the ledger, and our id is its own."""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maquette.agent.arguments import RESUME_ME
from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import key_lifetime, scene_store
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Status
from maquette.runners.failures import LogEvents, Reason, reason, unexplained
from maquette.runners.ray import marks, secret_line, spec
from maquette.runners.ray.client import Client, connected
from maquette.scene.atomic import write_json, write_text

# Ray's words for a job.
STATES = {
    "PENDING": "QUEUED",
    "RUNNING": "RUNNING",
    "STOPPED": "INTERRUPTED",
    "SUCCEEDED": "DONE",
    "FAILED": "FAILED",
}
AGAIN = "run the same command again: it continues"
_TAIL = 400
_PAUSE_S = 0.5
_BYTES_PER_PAUSE = 1 << 19  # the log is asked for as a whole: the longer it is, the less often
_LOST = "JOB_SUPERVISOR_ACTOR"


class RayRunner:
    """Runs steps as jobs of a cluster that sees the scene's folder, or gets it by the store."""

    name = "ray"

    def plan(self, job: JobSpec) -> Request:
        """Say what the Jobs API would be sent; asks no cluster."""
        return spec.build(job)

    def remarks(self, request: Request) -> list[str]:
        """Say when the job's keys end before it may."""
        return key_lifetime.remarks(request["store"], shlex.split(request["body"]["entrypoint"]))

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Write the step's options into the scene and start the job.

        Raises:
            Unanswered: there is no cluster.
            ConfigError: it is none that can do this.
            MaquetteError: it refuses.
        """
        with connected(request["address"]) as client:
            client.version()
            _check_gpus(client, request["gpus"])
            scene = Path(request["scene"])
            if carried := request["carried_input"]:
                scene_store.carry_input(scene, carried["source"], carried["place"])
            write_json(Path(request["options_file"]), request["options"])
            if request["store"]:
                scene_store.push(request["store"], scene)
            with secret_line.left(request, secrets) as body:
                client.submit(body)
        return _handle(request)

    def find(self, request: Request) -> Handle | None:
        """Look the job up by our id."""
        with connected(request["address"]) as client:
            return _handle(request) if client.job(request["job_id"]) else None

    def status(self, handle: Handle) -> Status:
        """Ask the cluster; when the job has ended, keep its log here."""
        with connected(handle["address"]) as client:
            job = client.job(handle["id"])
            if job is None:
                return _gone(handle)
            state = STATES.get(str(job["status"]), str(job["status"]))
            if not has_ended({"state": state}):
                return _running(job, state, client.tail(job, _TAIL), handle)
            text = client.log(handle["id"])
        scene_store.forget(handle.get("store"), handle["id"])
        _keep(Path(handle["log"]), text)
        return _ended(job, state, text, handle)

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the log's lines, from the cluster or as they were kept here."""
        if not handle:
            return
        kept, shown = Path(handle["log"]), 0
        while True:
            has_ended_before = not follow or has_ended({"state": self.status(handle).state})
            text = _kept(kept)
            if text is None:
                with connected(handle["address"]) as client:
                    text = marks.without(client.log(handle["id"]))
            *whole, rest = text.split("\n")
            yield from whole[shown:]
            shown = max(shown, len(whole))
            if has_ended_before:
                if rest:
                    yield rest
                return
            threading.Event().wait(_PAUSE_S * (1 + len(text) / _BYTES_PER_PAUSE))

    def cancel(self, handle: Handle) -> None:
        """Have Ray ask the job to save and stop."""
        with connected(handle["address"]) as client:
            client.stop(handle["id"])

    def collect(self, handle: Handle) -> None:
        """Bring what an ended job made from its store to the scene folder here."""
        if store := handle.get("store"):
            scene_store.pull(store, Path(handle["scene"]))


RUNNER = RayRunner


def _check_gpus(client: Client, wanted: int) -> None:
    """Refuse what would wait for ever.

    Raises:
        ConfigError: no machine has so many GPUs.
    """
    most = client.most_gpus() if wanted else 0
    if wanted > most:
        raise ConfigError(
            f"GPU={wanted}: no machine of the cluster has so many GPUs, the most is {most}",
            hint=f"GPU={most}" if most else "GPU=0: the processors do the work",
        )


def _handle(request: Request) -> Handle:
    facts = {"id": request["job_id"], "address": request["address"], "log": request["log"]}
    return {**facts, "store": request["store"], "scene": request["scene"]}


def _running(job: dict[str, Any], state: str, tail: str, handle: Handle) -> Status:
    message = str(job.get("message") or "")
    if marks.facts_of(tail, marks.STOPPING):
        state, message = "INTERRUPTING", "asked to stop: the step saves first"
    progress = LogEvents(tail.split("\n")).progress
    return Status(state, message, None, handle, progress=progress, provider=_told(job),
                  history=_history(job, state, tail))  # fmt: skip


def _ended(job: dict[str, Any], state: str, text: str, handle: Handle) -> Status:
    events, end = LogEvents(marks.without(text).split("\n")), marks.facts_of(text, marks.END)
    code = 0 if state == "DONE" else (end or {}).get("code", job.get("driver_exit_code"))
    message, why = str(job.get("message") or ""), None
    if state == "DONE":
        message = "Job is done"
    elif state == "INTERRUPTED":
        message = "stopped on request"
    elif code == RESUME_ME:
        state = "INTERRUPTED"
        why = reason("the machine was taken away; the work is saved", hint=AGAIN)
    elif state == "FAILED":
        why = _why(job, code, text, events, handle)
    return Status(
        state, why["what"] if why else message, code, handle, why, events.progress, _told(job),
        ended_at=_date(job.get("end_time")), history=_history(job, state, text),
    )  # fmt: skip


def _history(job: dict[str, Any], state: str, text: str) -> tuple[dict[str, str], ...]:
    """When the job began, was asked to stop and ended, as far as the marks in its log tell."""
    begin, stopping = (marks.facts_of(text, each) for each in (marks.BEGIN, marks.STOPPING))
    dates = {
        "RUNNING": begin["time"] if begin else None,
        "INTERRUPTING": stopping["time"] if stopping else None,
    }
    if has_ended({"state": state}):
        dates[state] = _date(job.get("end_time"))
    elif state != "QUEUED" and not begin:  # a long log's end does not hold its beginning
        dates["RUNNING"] = _date(job.get("start_time"))
    return tuple({"state": name, "date": date} for name, date in dates.items() if date)


def _why(
    job: dict[str, Any], code: int | None, text: str, events: LogEvents, handle: Handle
) -> Reason:
    """Why a job failed: its own words, else what its log and Ray's own words show."""
    if events.reason:
        return events.reason
    if str(job.get("error_type") or "").startswith(_LOST):
        return reason(
            "the job was lost: its machine went away, or Ray ended it",
            detail=str(job.get("message") or "")[:300],
            hint=AGAIN,
        )
    if code is None:
        return reason(
            "Ray could not start the job", detail=str(job.get("message") or "")[:300],
            hint="look at the cluster's dashboard",
        )  # fmt: skip
    if marks.facts_of(text, marks.BEGIN) is None and (code == 127 or "No module named" in text):
        return reason(
            "the cluster's Python has no maquette",
            detail=text.strip().splitlines()[-1][:300],
            hint="install maquette and ray there, and name the interpreter: RAY_PYTHON=/…/python",
        )
    return unexplained(code, handle["log"])


def _gone(handle: Handle) -> Status:
    why = reason(
        f"the cluster does not know the job {handle['id']}: its head was lost, or started anew",
        detail="what was done stays in the scene",
        hint=AGAIN,
    )
    return Status("FAILED", why["what"], None, handle, why)


def _told(job: dict[str, Any]) -> dict[str, Any]:
    """Ray's answer; its `message` may hold the log's end, which has a place of its own."""
    return {**secret_line.without(job), "message": str(job.get("message") or "")[:300]}


def _date(milliseconds: Any) -> str | None:
    if not milliseconds:
        return None
    date = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _keep(log: Path, text: str) -> None:
    if not log.exists() and text:
        with contextlib.suppress(OSError):
            write_text(log, marks.without(text))


def _kept(log: Path) -> str | None:
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
