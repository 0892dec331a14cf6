"""The lifecycle of a job, from state to state; it can be resumed in any of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from maquette.emulator import transitions
from maquette.emulator.clock import now
from maquette.emulator.database import Job
from maquette.emulator.faults import Fault
from maquette.emulator.models import JobRequest
from maquette.emulator.parts import Service
from maquette.emulator.runtimes import StartError
from maquette.emulator.volumes import Volumes

log = logging.getLogger(__name__)
PLATFORM_MAXIMUM_S = 604_800
_MOST_RETRIES = 5  # how often what can not fail is tried again
_PAUSE_S = 0.5


class Lifecycle:
    """Takes one job from the state it is in to its end."""

    def __init__(self, service: Service, job: Job) -> None:
        self._service = service
        self._job = job
        self._spec = JobRequest.model_validate(job.private["sent"])
        self._volumes = Volumes(service, job)

    async def run(self) -> None:
        """Lifecycle on until the job is over."""
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "QUEUED": self._queued,
            "INITIALIZING": self._initializing,
            "PENDING": self._pending,
            "RUNNING": self._running,
            "INTERRUPTING": self._stopping,
            "TIMEOUT": self._stopping,
            "FINALIZING": self._finalizing,
            "RESTARTING": self._restarting,
        }
        failures = 0
        while not self._job.has_ended:
            await self._show_unknown_state()
            await self._wait_while_held()
            fault = self._fault("error", at=self._state)
            try:
                if fault is not None and not self._job.private.get("fate"):
                    await self._fail(fault)
                else:
                    await steps[self._state]()
            except Exception as error:  # a runtime or a disk that fails; whatever it is
                failures += 1
                if failures > _MOST_RETRIES:
                    log.exception("job %s in %s is given up", self._job.id, self._state)
                    await self._give_up(error)
                else:
                    log.warning("job %s in %s is tried again: %s", self._job.id, self._state, error)
                await asyncio.sleep(_PAUSE_S)
            else:
                failures = 0

    @property
    def _state(self) -> str:
        return str(self._job.private["at"])

    async def _queued(self) -> None:
        await self._pause()
        self._enter("FINALIZING" if self._is_stopped() else "INITIALIZING")

    async def _initializing(self) -> None:
        if not self._job.private.get("pulled"):
            await self._call(self._volumes.empty)
            problem = await self._volumes.synchronise("pull", manual=False)
            if problem:
                self._set_outcome("SYNC_FAILED", problem.partition(":")[0], problem)
                await self._finish()
                return
            self._job.private["pulled"] = True
        await self._pause()
        self._enter("FINALIZING" if self._is_stopped() else "PENDING")

    async def _pending(self) -> None:
        await self._pause()
        if self._is_stopped():
            self._enter("FINALIZING")
            return
        fault = self._fault("image_pull")
        self._job.private.setdefault("billed_from", now())
        try:
            if fault is not None:
                what = fault.message or self._spec.image
                raise StartError("JOB_IMAGE_PULL", f"Error image pull: {what}")
            await self._call(self._service.runtime.start, self._volumes.task())
        except StartError as error:
            self._set_outcome("FAILED", error.code, str(error))
            self._job.private["billed_to"] = now()
            await self._finish()
            return
        self._enter("RUNNING")

    async def _running(self) -> None:
        code = await self._call(self._service.runtime.exit_code, self._volumes.task())
        if code is not None:
            await self._exited(int(code))
        elif self._job.private.get("kill"):
            self._set_outcome("INTERRUPTED", "JOB_INTERRUPTED", "Job was interrupted")
            self._enter("INTERRUPTING")
        elif (fault := self._fault("evicted")) is not None:
            await self._evicted(fault, "FAILED", "JOB_EVICTED", "Job was evicted")
        elif (fault := self._fault("platform")) is not None:
            code_word = "JOB_INTERRUPTED_BY_PLATFORM"
            await self._evicted(fault, "INTERRUPTED", code_word, "Interrupted by the platform")
        elif (fault := self._fault("timeout")) is not None or self._is_out_of_time():
            end = fault.end if fault and fault.end else "INTERRUPTED"
            self._job.private["push"] = fault.push if fault else True
            self._job.private["restart"] = self._spec.timeout_auto_restart
            self._set_outcome(end, "JOB_TIMEOUT", "Job reached its timeout")
            self._enter("TIMEOUT")
        else:
            await self._wait(self._service.runtime.poll_s)

    async def _stopping(self) -> None:
        """Let the process save, then kill it; it is billed meanwhile."""
        task, runtime = self._volumes.task(), self._service.runtime
        await self._call(runtime.stop, task, kill=False)
        clock = self._service.clock
        kill_at = time.monotonic() + max(clock.wall(clock.grace_s), 1.0)
        while (code := await self._call(runtime.exit_code, task)) is None:
            await asyncio.sleep(runtime.poll_s)
            if time.monotonic() > kill_at:
                await self._call(runtime.stop, task, kill=True)
        self._job.status["exitCode"] = code
        await self._finalize_or_end()

    async def _finalizing(self) -> None:
        private = self._job.private
        if self._has_run():
            await self._call(self._service.runtime.remove, self._volumes.task())
        problem = ""
        if private.get("push", True) and private.get("pulled") and self._has_run():
            problem = await self._volumes.synchronise("push", manual=False)
        await self._pause()
        if private.pop("restart", False) and not private.get("kill"):
            self._enter("RESTARTING")
            return
        if problem:
            self._set_outcome("SYNC_FAILED", problem.partition(":")[0], problem)
        elif not private.get("fate"):
            self._set_outcome("INTERRUPTED", "JOB_INTERRUPTED", "Job was interrupted")
        await self._finish(keep_volumes=bool(problem))

    async def _restarting(self) -> None:
        await self._pause()
        self._job.private["starts"] = self._job.private.get("starts", 0) + 1
        self._job.private.pop("fate", None)
        self._enter("INITIALIZING")

    async def _exited(self, code: int) -> None:
        fault = self._fault("exit")
        code = fault.code if fault is not None else code
        self._job.status["exitCode"] = code
        if code == 0:
            self._set_outcome("DONE", "JOB_DONE", "Job is done")
        elif self._job.private.get("kill"):
            self._set_outcome("INTERRUPTED", "JOB_INTERRUPTED", "Job was interrupted")
        else:
            self._set_outcome("FAILED", "JOB_FAILED_WITH_MESSAGE", f"Job failed with code {code}")
        await self._finalize_or_end()

    async def _evicted(self, fault: Fault, end: str, code: str, message: str) -> None:
        self._job.private["push"] = fault.push
        await self._kill()
        self._set_outcome(fault.end or end, code, fault.message or message)
        await self._finalize_or_end()

    async def _fail(self, fault: Fault) -> None:
        self._set_outcome(fault.end or "ERROR", "JOB_ERROR", fault.message or "Internal error")
        self._job.private["push"] = fault.push
        if self._state == "RUNNING":
            await self._kill()
        await self._finalize_or_end()

    async def _kill(self) -> None:
        """Kill until the process is gone: at its very start there is nothing to be killed yet."""
        task, runtime = self._volumes.task(), self._service.runtime
        while await self._call(runtime.exit_code, task) is None:
            await self._call(runtime.stop, task, kill=True)
            await asyncio.sleep(runtime.poll_s)

    async def _give_up(self, error: Exception) -> None:
        """End a job that can not go on; what runs of it is stopped if that is possible."""
        self._set_outcome("ERROR", "JOB_ERROR", f"Internal error: {error}")
        with contextlib.suppress(Exception):
            await self._call(self._service.runtime.stop, self._volumes.task(), kill=True)
            await self._call(self._service.runtime.remove, self._volumes.task())
        await self._finish(keep_volumes=True)

    async def _finalize_or_end(self) -> None:
        if self._has_run():
            self._enter("FINALIZING")
        else:
            await self._finish()

    def _set_outcome(self, state: str, code: str, message: str) -> None:
        self._job.private["fate"] = {"state": state, "code": code, "message": message}

    async def _finish(self, *, keep_volumes: bool = False) -> None:
        """Enter the final state; the volumes stay only when their push can be tried again."""
        fate = self._job.private["fate"]
        self._job.status["finalizedAt"] = now()
        self._job.status["stoppedAt"] = self._job.status["stoppedAt"] or now()
        self._job.private["over"] = True
        self._enter(fate["state"], fate["code"], fate["message"])
        if not keep_volumes:
            await self._volumes.drop()

    async def _show_unknown_state(self) -> None:
        """Show a state that no client knows; the job itself goes on as it would."""
        fault = self._fault("word", at=self._state)
        if fault is None:
            return
        transitions.show(self._job, fault.word, message=fault.word.lower())
        self._service.database.save(self._job)
        await self._wait(self._service.clock.wall(fault.seconds))
        if not self._job.has_ended:
            transitions.show(self._job, self._state)

    def _enter(self, state: str, code: str = "", message: str = "") -> None:
        transitions.enter(self._service, self._job, state, code, message)

    async def _wait_while_held(self) -> None:
        while self._service.faults.holds(self._job.public, self._state) and not self._is_stopped():
            await self._wait(3600.0)

    async def _wait(self, wall_s: float) -> None:
        self._job.changed.clear()
        try:
            await asyncio.wait_for(self._job.changed.wait(), wall_s)
        except TimeoutError:
            return

    async def _pause(self) -> None:
        await asyncio.sleep(self._service.clock.wall(self._service.clock.phase_s))

    async def _call(self, work: Callable[..., Any], *words: Any, **options: Any) -> Any:
        return await asyncio.to_thread(work, *words, **options)

    def _fault(self, kind: str, at: str = "") -> Fault | None:
        return self._service.faults.for_job(kind, self._job.public, at)

    def _is_stopped(self) -> bool:
        return bool(self._job.private.get("kill"))

    def _has_run(self) -> bool:
        return bool(self._job.status["startedAt"])

    def _is_out_of_time(self) -> bool:
        limit = self._job.public["spec"]["timeout"] or PLATFORM_MAXIMUM_S
        return transitions.run_seconds(self._service.clock, self._job, now()) >= limit
