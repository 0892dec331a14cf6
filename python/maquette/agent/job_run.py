"""One job from its first second to its last: check, pull, run, push, notify."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack

from maquette.agent import keeping, machine, shard_store, worker_notes
from maquette.agent.arguments import (
    CONTAINER,
    NOTIFY_NAME,
    RESUME_ME,
    TIME_IS_UP,
    UNSAVED,
    Arguments,
    needs_less,
    same_again,
    without_secrets,
)
from maquette.agent.job_report import JobReport
from maquette.agent.scene_sync import PeriodicPush, SceneSync
from maquette.agent.step_process import (
    EventReader,
    SignalRequests,
    StepProcess,
    StepResult,
    adopt_orphans,
    end_orphans,
    supervise,
    with_python,
)
from maquette.agent.webhook import Webhook
from maquette.errors import NO_SPACE, ExitCode, MaquetteError, from_os_error
from maquette.scene.events import Progress, now
from maquette.scene.paths import Scene

_KILLED = 128 + signal.SIGKILL


class JobRun:
    """Runs one job and keeps its work safe."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._progress = Progress(None)
        self._requests = SignalRequests()
        facts = {"job": arguments.job, "model": arguments.scene.name, "step": arguments.step}
        self._webhook = Webhook(arguments.secret(NOTIFY_NAME), facts, self._progress.warn)
        self._scene_sync = (
            SceneSync(arguments, arguments.store, self._progress.warn)
            if arguments.store is not None
            else None
        )
        self._disk_reserve = machine.DiskReserve(arguments.scene)
        self._report = JobReport(arguments)
        self._driving = ExitStack()

    def run(self) -> int:
        """Do the whole job; returns the step's exit code, or one of those in `arguments`."""
        adopt_orphans()
        try:
            self._begin_driving()
            code = self._execute()
        except MaquetteError as error:
            code = self._fail(error)
        except OSError as error:
            code = self._fail(from_os_error(error, f"keeping {self._arguments.step}"))
        finally:
            self._driving.close()
            end_orphans()
        self._keep(int(code))
        self._webhook.close()
        if self._scene_sync:
            self._scene_sync.close()
        return code

    def _begin_driving(self) -> None:
        """Give worker jobs signs of life, until the step has ended."""
        if self._arguments.workers:
            place = shard_store.place_of(self._arguments)
            bucket = place.opened()
            self._driving.callback(bucket.close)
            beats = worker_notes.driving(bucket, place.job, place.beat_s)
            self._driving.enter_context(beats)

    def _execute(self) -> int:
        self._report["machine"] = machine.check(self._arguments)
        if self._scene_sync:
            self._progress.say(f"pulling {self._scene_sync.url}")
            self._scene_sync.pull()
        if self._requests.stop:
            return RESUME_ME
        self._webhook.send("start", f"{self._title} has started")
        kills = machine.kills_for_memory()
        result = self._step()
        self._report_end(result)
        code = TIME_IS_UP if result.time_is_up else RESUME_ME if result.stopped else result.code
        if result.stopped and result.code == ExitCode.OK:
            code = ExitCode.OK  # it finished all the same
        if self._was_full() and code not in (ExitCode.OK, TIME_IS_UP, RESUME_ME):
            code = self._report_full_disk(result)
        elif machine.kills_for_memory() > kills and code == _KILLED:
            self._report_memory_ran_out()
        return self._save(code, result)

    def _step(self) -> StepResult:
        arguments, events = self._arguments, EventReader(Scene(self._arguments.scene).events)
        arguments.scene.mkdir(parents=True, exist_ok=True)
        if self._scene_sync:
            self._disk_reserve.allocate()
        pusher = self._periodic_push()
        told = shard_store.variables(arguments)
        step = StepProcess(with_python(arguments.command), without_secrets(os.environ) | told)
        try:
            limits = arguments.limit_s, arguments.grace_s
            return supervise(step, self._requests, *limits, lambda: self._tick(events))
        finally:
            self._disk_reserve.check()
            step.sweep()
            end_orphans()
            self._driving.close()
            self._notify_stages(events)
            self._report["error"] = events.error
            if pusher:
                pusher.close()

    def _periodic_push(self) -> PeriodicPush | None:
        if self._scene_sync is None:
            return None
        interval_s = self._arguments.sync_minutes * 60
        request, warn = self._requests.push, self._progress.warn
        removes = not self._arguments.shard_folder  # what shards made may not be here yet
        return PeriodicPush(self._scene_sync, interval_s, request, warn, removes)

    def _tick(self, events: EventReader) -> None:
        self._disk_reserve.check()
        self._notify_stages(events)

    def _notify_stages(self, events: EventReader) -> None:
        for event in events.finished_stages():
            name = event.get("stage", "")
            self._webhook.send(
                "stage", f"{self._title}: stage {name} is done", stage=name,
                numbers=event.get("numbers"), wall_s=event.get("wall_s"),
            )  # fmt: skip

    def _report_end(self, result: StepResult) -> None:
        if result.time_is_up:
            hours = (self._arguments.limit_s or 0) / 3600
            self._error(
                f"the time is up: {self._arguments.step} was stopped after {hours:.3g} h",
                "MAX_HOURS and MAX_COST set this limit; the work is saved",
                f"`{same_again(self._arguments)}` continues it",
            )
        elif result.stopped and result.code != ExitCode.OK:
            outcome = "killed after its grace" if result.killed else "saved"
            self._progress.say(f"asked to stop: the step was {outcome}; the same job continues it")

    def _was_full(self) -> bool:
        """Whether the disk was seen full, or the step met it and has made room again."""
        error = self._report["error"] or {}
        return self._disk_reserve.was_full or str(error.get("what")).startswith(NO_SPACE)

    def _report_full_disk(self, result: StepResult) -> int:
        reason = f": {self._report['error']['what']}" if self._report["error"] else ""
        self._error(
            f"the machine's disk is full: no space left at `{self._arguments.scene}`",
            f"{self._arguments.step} ended with exit code {result.code}{reason}",
            "free space there, or take a machine with a larger disk; the same command continues",
        )
        return ExitCode.JOB_FAILED

    def _report_memory_ran_out(self) -> None:
        self._error(
            "the step was killed: the machine ran out of memory",
            f"of {self._report['machine']['memory_gb']} GB",
            f"{needs_less(self._arguments.command)}a larger machine; the same command continues",
        )

    def _save(self, code: int, result: StepResult) -> int:
        self._disk_reserve.release()
        self._report.update(
            ended_at=now(),
            exit_code=int(code),
            step_exit_code=result.code,
            pushes_before_the_end=self._scene_sync.pushes if self._scene_sync else 0,
        )
        self._report.write()
        if self._scene_sync:
            try:
                self._scene_sync.push_with_retries()
            except (MaquetteError, OSError) as error:
                code = self._unsaved(error)
        self._notify_result(int(code))
        return int(code)

    def _keep(self, code: int) -> None:
        """Keep the machine of a failed job for a look; its work is pushed before and after."""
        limit_s = keeping.keep_s(self._arguments, code, self._report.spent_s)
        if self._requests.stop or not limit_s:
            return
        told = keeping.announcement(self._arguments, code, limit_s)
        self._progress.event("kept", **told)
        self._webhook.send("kept", told["text"], code=code, until=told["until"])
        self._report["kept_s"] = round(keeping.wait(limit_s, self._requests, self._push_again), 3)
        if "ended_at" in self._report:  # else the step never ran, and nothing of it is to be saved
            self._report.write()
            self._push_again()

    def _push_again(self) -> None:
        if self._scene_sync:
            try:
                self._scene_sync.push()
            except (MaquetteError, OSError) as error:
                self._progress.warn(f"not everything was pushed: {getattr(error, 'what', error)}")

    def _unsaved(self, error: Exception) -> int:
        if isinstance(error, OSError):
            error = from_os_error(error, "pushing")
        self._error(
            "the step has ended, but its data could not be pushed",
            str(getattr(error, "what", error)),
            self._arguments.kept_where.replace(CONTAINER, socket.gethostname())
            or f"it lies at `{self._arguments.scene}` on the machine",
        )
        return UNSAVED

    def _notify_result(self, code: int) -> None:
        place = self._scene_sync.url if self._scene_sync else str(self._arguments.scene)
        if code == ExitCode.OK:
            shown = self._scene_sync.addresses_to_look_at() if self._scene_sync else {}
            text = f"{self._title} is done: {place}"
            text += f"\nreport, for seven days: {shown['link']}" if "link" in shown else ""
            self._webhook.send("done", text, result=place, code=code, **shown)
        elif code == RESUME_ME:
            text = f"{self._title} was stopped and saved; the same job continues it"
            self._webhook.send("stopped", text, result=place, code=code)
        else:
            error = self._report.get("error") or {}
            what = error.get("what") or f"exit code {code}"
            self._webhook.send(
                "failed", f"{self._title} failed: {what}", reason=what, result=place, code=code
            )

    def _fail(self, error: MaquetteError) -> int:
        """Report a job that never reached its step, or that could not be saved."""
        self._error(error.what, error.detail, error.hint, int(error.exit_code))
        self._notify_result(int(error.exit_code))
        return int(error.exit_code)

    def _error(self, what: str, detail: str, hint: str, code: int = ExitCode.JOB_FAILED) -> None:
        facts = {"code": int(code), "what": what, "detail": detail, "hint": hint}
        self._report["error"] = facts
        self._progress.event("error", **facts)

    @property
    def _title(self) -> str:
        return f"{self._arguments.step} of {self._arguments.scene.name}"
