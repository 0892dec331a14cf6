"""Jobs of a Slurm cluster: one batch job a step, found by its name, which is our id.

While Slurm knows a job, its word counts. How a step ended is also in a file that the job's script
writes beside the document, since Slurm forgets an ended job within minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from maquette.agent.arguments import RESUME_ME, TIME_IS_UP
from maquette.errors import shown_path
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Status
from maquette.runners.failures import LogEvents, Reason, reason, unexplained
from maquette.runners.log_files import last_lines, lines_of
from maquette.runners.slurm import client, sbatch_options, spec
from maquette.runners.slurm.rows import Row
from maquette.runners.slurm.states import AGAIN, ENDS, STATES, waiting
from maquette.scene.atomic import write_json

_OF_HANDLE = ("job_id", "scene", "log", "end", "stop")
_SIGKILLED = 137  # why, only Slurm may know


class SlurmRunner:
    """Runs steps as batch jobs."""

    name = "slurm"
    grace_s = 120.0  # a busy controller shows a job late

    def plan(self, job: JobSpec) -> Request:
        """Say what sbatch would be told; asks no cluster."""
        return spec.build(job)

    def remarks(self, request: Request) -> list[str]:
        """Say when a step would get less of a node than it can use."""
        words, told = request["argv"], []
        if not sbatch_options.asks_for(words, "cpus-per-task", "exclusive", "cpus-per-gpu"):
            told.append("the step gets one CPU: SLURM_OPTIONS=--cpus-per-task=8 gives it more")
        gpus = ("gres", "gpus", "gpus-per-node", "gpus-per-task")
        if request["gpus"] and not sbatch_options.asks_for(words, *gpus):
            told.append("the step gets no GPU: SLURM_OPTIONS=--gres=gpu:1 asks for one; GPU=0 says "
                        "that none is wanted")  # fmt: skip
        return told

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Write the options and submit the script, which needs no secrets.

        Raises:
            ConfigError: there is no Slurm here, or it knows no such partition or option.
            CredentialsError: the account may not, or is over its limit.
            ResponseLost: nobody answered; the job may be queued.
        """
        client.require_slurm()
        write_json(Path(request["options_file"]), request["options"])
        Path(request["end"]).parent.mkdir(parents=True, exist_ok=True)
        return _handle(client.sbatch(request["argv"], request["script"]), request)

    def find(self, request: Request) -> Handle | None:
        """Find the job by its name, or by the file that its script wrote."""
        end = _read(Path(request["end"]))
        if end:
            return _handle(end["job"], request)
        row = client.named(request["job_id"])
        return _handle(row.id, request) if row else None

    def status(self, handle: Handle) -> Status:
        """Ask Slurm, and read how the step ended."""
        row, end = None, _end_of(handle)
        if not end or end["code"] == _SIGKILLED or _may_go_on(handle, end):
            row = client.job(handle["id"])
            if row and row.word == "PENDING" and not row.starts and Path(handle["log"]).exists():
                row = client.job(handle["id"], now=True)
        return self._status(handle, row)

    def statuses(self, handles: Iterable[Handle]) -> dict[str, Status]:
        """The statuses of many jobs with one question."""
        known = {handle["id"]: handle for handle in handles}
        rows = client.jobs(known)
        return {number: self._status(handle, rows.get(number)) for number, handle in known.items()}

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the lines of the file that Slurm writes; with `follow`, until the job has ended."""
        if not handle:
            return iter(())
        return lines_of(
            Path(handle["log"]),
            lambda: not follow or has_ended({"state": self.status(handle).state}),
        )

    def cancel(self, handle: Handle) -> None:
        """Ask the job's script to let the step save and stop; silent when the job is gone."""
        if _end_of(handle):
            return
        Path(handle["stop"]).touch()
        client.cancel(handle["id"])

    def _status(self, handle: Handle, row: Row | None) -> Status:
        events = LogEvents(last_lines(Path(handle["log"])))
        end = _end_of(handle)
        if end and not (row and _may_go_on(handle, end) and not _is_over(row)):
            return _ended(handle, end, row, events)
        if row is None:
            row = client.accounted([handle["id"]]).get(handle["id"])
        if row is None:
            return _forgotten(handle, events)
        state = STATES.get(row.word, row.word)
        if _is_over(row):
            return _ended_by_slurm(handle, row, state, events)
        return Status(
            state=_alive(handle, row, state),
            message=_message(row),
            handle=handle,
            progress=events.progress,
            provider=vars(row),
            started_at=row.started_at if state in ("RUNNING", "FINALIZING") else None,
        )


RUNNER = SlurmRunner


def _handle(number: str, request: Request) -> Handle:
    return {"id": number, **{name: request[name] for name in _OF_HANDLE}}


def _may_go_on(handle: Handle, end: dict[str, Any]) -> bool:
    """Whether Slurm, and no person, stopped the step: it may have queued the job again."""
    stopped = bool(end["asked"]) and not Path(handle["stop"]).exists()
    return stopped and end["code"] not in (0, TIME_IS_UP)


def _is_over(row: Row) -> bool:
    return has_ended({"state": STATES.get(row.word)})


def _alive(handle: Handle, row: Row, state: str) -> str:
    if Path(handle["stop"]).exists() and state in ("RUNNING", "FINALIZING"):
        return "INTERRUPTING"
    return "RESTARTING" if state == "PENDING" and row.starts else state


def _message(row: Row) -> str:
    if row.word == "PENDING":
        again = f"queued again ({row.starts}): " if row.starts else ""
        return again + waiting(row.reason)
    return f"{row.word.lower()} on {row.node}" if row.node else row.word.lower()


def _ended(handle: Handle, end: dict[str, Any], row: Row | None, events: LogEvents) -> Status:
    """The status of a job whose script told how its step ended."""
    code = int(end["code"])
    state, message, why = _ending(code, bool(end["asked"]), events, handle["log"])
    if why and row and row.word in ENDS and not events.reason:
        why = reason(ENDS[row.word][0], hint=ENDS[row.word][1])
    return Status(
        state=state,
        message=message,
        exit_code=code,
        handle=handle,
        reason=why,
        progress=events.progress,
        provider={"end": end, "job": vars(row) if row else None},
        started_at=end["started"],
        ended_at=end["ended"],
    )


def _ending(code: int, asked: bool, events: LogEvents, log: str) -> tuple[str, str, Reason | None]:
    if code == 0:
        return "DONE", "Job is done", None
    if code == TIME_IS_UP:
        why = reason(ENDS["TIMEOUT"][0], hint=ENDS["TIMEOUT"][1])
        return "FAILED", why["what"], why
    if code == RESUME_ME:
        why = reason("the machine was taken away; the work is saved", hint=AGAIN)
        return "INTERRUPTED", why["what"], why
    if asked:
        return "INTERRUPTED", "stopped on request", None
    why = events.reason or unexplained(code, log)
    return "FAILED", why["what"], why


def _ended_by_slurm(handle: Handle, row: Row, state: str, events: LogEvents) -> Status:
    """The status of a job whose script could not tell how its step ended."""
    stopped = Path(handle["stop"]).exists()
    why = None
    if state == "FAILED" or (state == "INTERRUPTED" and row.word in ENDS):
        why = _reason_of(handle, row, events)
    if stopped and state == "FAILED":
        state, why = "INTERRUPTED", None
    told = why["what"] if why else {"DONE": "Job is done"}.get(state, "stopped on request")
    return Status(
        state=state,
        message=told,
        exit_code=None if row.word == "CANCELLED" else row.code,
        handle=handle,
        reason=why,
        progress=events.progress,
        provider=vars(row),
        started_at=row.started_at if row.node else None,
        ended_at=row.ended_at or None,
    )


def _reason_of(handle: Handle, row: Row, events: LogEvents) -> Reason:
    log = Path(handle["log"])
    if events.reason:
        return events.reason
    if row.word in ENDS:
        what, hint = ENDS[row.word]
        return reason(f"{what} ({row.node})" if row.node else what, hint=hint)
    if not log.exists():
        return reason(
            f"the job left no log: its node {row.node} does not see `{shown_path(log.parent)}`",
            detail="scenes/ and logs/ must lie on a folder that all nodes share",
            hint="BASE_DIR= such a folder, then run the same command again",
        )
    return unexplained(row.code or 1, handle["log"])


def _forgotten(handle: Handle, events: LogEvents) -> Status:
    stopped = Path(handle["stop"]).exists()
    why = reason(
        "Slurm does not know the job any more, and its script left no word of its end",
        detail="its node failed, or does not see the folder of the log: " + handle["log"],
        hint=AGAIN,
    )
    if stopped:
        return Status("INTERRUPTED", "stopped on request", handle=handle, progress=events.progress)
    return Status("FAILED", why["what"], handle=handle, reason=why, progress=events.progress)


def _end_of(handle: Handle) -> dict[str, Any]:
    """How the job's step ended, as its script told; empty before."""
    end = _read(Path(handle["end"]))
    return end if end.get("job") == handle["id"] else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
