"""One job from its first second to its last: check, pull, run, push, tell."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import Any

from maquette.agent import machine
from maquette.agent.courier import Courier
from maquette.agent.duty import (
    CONTAINER,
    NOTIFY_NAME,
    RESUME_ME,
    TIME_IS_UP,
    UNSAVED,
    Duty,
    without_secrets,
)
from maquette.agent.notices import Notices
from maquette.agent.room import Room
from maquette.agent.step_process import StepProcess, adopt_orphans, end_orphans
from maquette.agent.watch import Ending, Pusher, Requests, Stages, watch
from maquette.errors import NO_SPACE, ExitCode, MaquetteError, from_os_error
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress, now
from maquette.scene.paths import Scene

REPORTS = "jobs"
_KILLED = 128 + signal.SIGKILL


class Keeper:
    """Keeps the work of one job safe."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._progress = Progress(None)
        self._requests = Requests()
        facts = {"job": duty.job, "model": duty.scene.name, "step": duty.step}
        self._notices = Notices(duty.secret(NOTIFY_NAME), facts, self._progress.warn)
        self._courier = (
            Courier(duty, duty.store, self._progress.warn) if duty.store is not None else None
        )
        self._room = Room(duty.scene)
        self._report: dict[str, Any] = {"job": duty.job, "step": duty.step, "began_at": now()}
        self._begun = time.monotonic()

    def run(self) -> int:
        """Do the whole job; returns its exit code, see `duty` for those beside the step's own."""
        adopt_orphans()
        try:
            code = self._whole()
        except MaquetteError as error:
            code = self._fail(error)
        except OSError as error:
            code = self._fail(from_os_error(error, f"keeping {self._duty.step}"))
        finally:
            end_orphans()
        self._notices.close()
        if self._courier:
            self._courier.close()
        return code

    def _whole(self) -> int:
        self._report["machine"] = machine.check(self._duty)
        if self._courier:
            self._progress.say(f"pulling {self._courier.url}")
            self._courier.pull()
        if self._requests.stop:
            return RESUME_ME
        self._notices.send("start", f"{self._title} has started")
        kills = machine.kills_for_memory()
        ending = self._step()
        self._tell_end(ending)
        code = TIME_IS_UP if ending.time_is_up else RESUME_ME if ending.stopped else ending.code
        if ending.stopped and ending.code == ExitCode.OK:
            code = ExitCode.OK  # it came to its end all the same
        if self._was_full() and code not in (ExitCode.OK, TIME_IS_UP, RESUME_ME):
            code = self._full(ending)
        elif machine.kills_for_memory() > kills and code == _KILLED:
            self._tell_memory_ran_out()
        return self._save(code, ending)

    def _step(self) -> Ending:
        duty, stages = self._duty, Stages(Scene(self._duty.scene).events)
        duty.scene.mkdir(parents=True, exist_ok=True)
        if self._courier:
            self._room.hold_back()
        pusher = (
            Pusher(duty, self._courier, self._requests, self._progress.warn)
            if self._courier
            else None
        )
        step = StepProcess(duty.command, without_secrets(os.environ))
        try:
            return watch(duty, step, self._requests, lambda: self._tick(stages))
        finally:
            self._room.look()
            step.sweep()
            end_orphans()
            self._tell_stages(stages)
            self._report["error"] = stages.error
            if pusher:
                pusher.close()

    def _tick(self, stages: Stages) -> None:
        self._room.look()
        self._tell_stages(stages)

    def _tell_stages(self, stages: Stages) -> None:
        for event in stages.finished():
            name = event.get("stage", "")
            self._notices.send(
                "stage", f"{self._title}: stage {name} is done", stage=name,
                numbers=event.get("numbers"), wall_s=event.get("wall_s"),
            )  # fmt: skip

    def _tell_end(self, ending: Ending) -> None:
        if ending.time_is_up:
            hours = (self._duty.limit_s or 0) / 3600
            self._error(
                f"the time is up: {self._duty.step} was stopped after {hours:.3g} h",
                "MAX_HOURS and MAX_COST set this limit; the work is saved",
                f"`make {self._duty.step}` continues it",
            )
        elif ending.stopped and ending.code != ExitCode.OK:
            said = "killed after its grace" if ending.killed else "saved"
            self._progress.say(f"asked to stop: the step was {said}; the same job continues it")

    def _was_full(self) -> bool:
        """Whether the disk was seen full, or the step met it and has made room again."""
        error = self._report["error"] or {}
        return self._room.was_full or str(error.get("what")).startswith(NO_SPACE)

    def _full(self, ending: Ending) -> int:
        said = f": {self._report['error']['what']}" if self._report["error"] else ""
        self._error(
            f"the machine's disk is full: no space left at `{self._duty.scene}`",
            f"{self._duty.step} ended with exit code {ending.code}{said}",
            "free space there, or take a machine with a larger disk; the same command continues",
        )
        return ExitCode.JOB_FAILED

    def _tell_memory_ran_out(self) -> None:
        self._error(
            "the step was killed: the machine ran out of memory",
            f"of {self._report['machine']['memory_gb']} GB",
            "smaller PRESET, BLOCK_RES or FRAMES, or a larger machine; the same command continues",
        )

    def _save(self, code: int, ending: Ending) -> int:
        self._room.release()
        seconds = time.monotonic() - self._begun
        self._report |= {
            "ended_at": now(),
            "exit_code": int(code),
            "step_exit_code": ending.code,
            "wall_s": round(seconds, 1),
            "cost": round(seconds / 3600 * self._duty.price_per_hour, 4),
            "pushes_before_the_end": self._courier.pushes if self._courier else 0,
        }
        reports = Scene(self._duty.scene).stages / REPORTS
        with contextlib.suppress(OSError):  # on a full disk the work is pushed all the same
            write_json(reports / f"{self._duty.job}.json", self._report)
        if self._courier:
            try:
                self._courier.push_patiently()
            except (MaquetteError, OSError) as error:
                code = self._unsaved(error)
        self._tell_result(int(code))
        return int(code)

    def _unsaved(self, error: Exception) -> int:
        if isinstance(error, OSError):
            error = from_os_error(error, "pushing")
        self._error(
            "the step has ended, but its data could not be pushed",
            str(getattr(error, "what", error)),
            self._duty.kept_where.replace(CONTAINER, socket.gethostname())
            or f"it lies at `{self._duty.scene}` on the machine",
        )
        return UNSAVED

    def _tell_result(self, code: int) -> None:
        place = self._courier.url if self._courier else str(self._duty.scene)
        if code == ExitCode.OK:
            self._notices.send("done", f"{self._title} is done: {place}", result=place, code=code)
        elif code == RESUME_ME:
            text = f"{self._title} was stopped and saved; the same job continues it"
            self._notices.send("stopped", text, result=place, code=code)
        else:
            error = self._report.get("error") or {}
            what = error.get("what") or f"exit code {code}"
            self._notices.send(
                "failed", f"{self._title} failed: {what}", reason=what, result=place, code=code
            )

    def _fail(self, error: MaquetteError) -> int:
        """Tell of a job that never came to its step, or that could not be saved."""
        self._error(error.what, error.detail, error.hint, int(error.exit_code))
        self._tell_result(int(error.exit_code))
        return int(error.exit_code)

    def _error(self, what: str, detail: str, hint: str, code: int = ExitCode.JOB_FAILED) -> None:
        facts = {"code": int(code), "what": what, "detail": detail, "hint": hint}
        self._report["error"] = facts
        self._progress.event("error", **facts)

    @property
    def _title(self) -> str:
        return f"{self._duty.step} of {self._duty.scene.name}"
