"""A job's state as the API shows it: entering one, its dates, its message, the seconds it ran."""

from __future__ import annotations

from maquette.emulator.clock import Clock, now
from maquette.emulator.database import Job
from maquette.emulator.parts import Service

_TIMES = {
    "QUEUED": "queuedAt",
    "INITIALIZING": "initializingAt",
    "RUNNING": "startedAt",
    "INTERRUPTING": "stoppedAt",
    "TIMEOUT": "timeoutAt",
}
_MESSAGES = {
    "QUEUED": "Job submitted",
    "INITIALIZING": "Job is initializing",
    "PENDING": "Job is pending",
    "RUNNING": "Job is running",
    "INTERRUPTING": "Job is being interrupted",
    "TIMEOUT": "Job reached its timeout",
    "FINALIZING": "Job is finalizing",
    "RESTARTING": "Job is restarting",
    "DONE": "Job is done",
}


def enter(service: Service, job: Job, state: str, code: str = "", message: str = "") -> None:
    """Take a job to a state and keep that; what ran until now is counted and billed."""
    time = now()
    if job.private["at"] in ("RUNNING", "INTERRUPTING", "TIMEOUT"):
        job.status["duration"] = run_seconds(service.clock, job, time)
        job.private["billed_to"] = time
    job.private["at"] = state
    show(job, state, code, message, time)
    if state in _TIMES:
        job.status[_TIMES[state]] = time
    service.database.save(job)


def show(job: Job, word: str, code: str = "", message: str = "", time: str = "") -> None:
    """Let the job answer a state's word, whatever state it is in."""
    time = time or now()
    info = {"code": code or f"JOB_{word}", "message": message or _MESSAGES.get(word, word)}
    job.status.update(state=word, info=info, lastTransitionDate=time)
    job.status["history"].append({"state": word, "date": time})


def run_seconds(clock: Clock, job: Job, until: str) -> int:
    """Service seconds from the start of its process to a date; 0 when it never began."""
    started = job.status["startedAt"]
    return round(clock.between(started, until)) if started else 0
