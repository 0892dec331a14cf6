"""Jobs on this machine: a detached supervisor process per job, no daemon, no account."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from maquette.config.settings import Settings
from maquette.errors import JobFailed
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import failures
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Status
from maquette.runners.log_files import lines_of
from maquette.runners.process_identity import age_s, find_process, moment
from maquette.runners.step_command import require_ours, with_paths, with_this_python
from maquette.scene.atomic import write_json
from maquette.scene.events import now

if TYPE_CHECKING:
    from maquette.planning.estimating import Estimate

START_LIMIT_S = 15.0
Record = dict[str, Any]


class LocalRunner:
    """Runs steps as processes of this machine; the record file plays the provider's part."""

    name = "local"

    def plan(self, job: JobSpec) -> Request:
        """Say which process would run, with which files; needs nothing and changes nothing.

        Raises:
            ConfigError: the job is for an upstream engine, which only its image has.
        """
        require_ours(job)
        gpus = int(job.spec.get("resources", {}).get("gpu", 0))
        return {
            "job_id": job.id,
            "argv": with_this_python(with_paths(job)),
            "environment": {"CUDA_VISIBLE_DEVICES": ""} if gpus == 0 else {},
            "options_file": str(job.scene / job.options_file),
            "options": job.options,
            "log": str(job.log),
            "record": str(job.log.parent / "history" / f"{job.id}.local.json"),
            "document": [str(job.logs), job.group, job.model, job.owner, job.step],
        }

    def estimate(self, settings: Settings) -> Estimate:
        """What the steps of a scene will take on this machine."""
        from maquette.runners.local import estimates

        return estimates.estimate(settings)

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Write the options and start the supervisor, which needs no secrets.

        Raises:
            JobFailed: the supervisor did not come up.
        """
        write_json(Path(request["options_file"]), request["options"])
        record = Path(request["record"])
        created = {"created_at": now(), "created": moment()}
        write_json(record, {"request": request, "state": "QUEUED", **created, "supervisor": None})
        log = Path(request["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "maquette.runners.local.supervisor", str(record)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _wait_until(
            lambda: read_record(record).get("supervisor") or supervisor.poll() is not None,
            START_LIMIT_S,
        )
        if not read_record(record).get("supervisor"):
            raise JobFailed("the job's supervisor did not start", detail=f"its log: {log}")
        return {"record": str(record)}

    def find(self, request: Request) -> Handle | None:
        """Find the record that `submit` wrote, if it did."""
        return {"record": request["record"]} if Path(request["record"]).exists() else None

    def status(self, handle: Handle) -> Status:
        """Read the record; a job whose supervisor is gone has failed."""
        record = read_record(Path(handle["record"]))
        state, reason = record.get("state", "FAILED"), record.get("reason")
        message, exit_code = record.get("message", ""), record.get("exit_code")
        if not has_ended({"state": state}) and not _supervised(record):
            state = "FAILED"
            message = "its supervisor is gone: killed, or the machine restarted"
            reason = failures.reason(
                message,
                detail="finished stages and the last checkpoint are kept",
                hint="run the same command again: it continues",
            )
        return Status(
            state=state,
            message=message,
            exit_code=exit_code,
            handle=handle,
            reason=reason,
            progress=record.get("progress"),
            provider={key: value for key, value in record.items() if key != "request"},
        )

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the log's lines; with `follow`, until the job has ended."""
        record = Path(handle["record"])
        log = Path(read_record(record).get("request", {}).get("log", ""))
        return lines_of(log, lambda: not follow or has_ended({"state": self.status(handle).state}))

    def cancel(self, handle: Handle) -> None:
        """Ask the supervisor to stop the step politely; silent when it is gone."""
        supervisor = find_process(read_record(Path(handle["record"])).get("supervisor"))
        if supervisor is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                supervisor.terminate()


RUNNER = LocalRunner


def read_record(path: Path) -> Record:
    """Read a job's record; a missing or damaged one reads as empty."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _supervised(record: Record) -> bool:
    if record.get("supervisor"):
        return find_process(record["supervisor"]) is not None
    if "created_at" not in record:
        return False
    return age_s(record.get("created"), record["created_at"]) < START_LIMIT_S


def _wait_until(condition: Callable[[], Any], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
