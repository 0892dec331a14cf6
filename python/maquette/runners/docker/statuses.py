"""Docker's words for a container in ours, and why one ended."""

from __future__ import annotations

from typing import Any

from docker.models.containers import Container

from maquette.agent.arguments import RESUME_ME, TIME_IS_UP, UNSAVED
from maquette.containers.daemon import daemon_of
from maquette.runners.base import Handle, Status
from maquette.runners.docker import spec
from maquette.runners.failures import LogEvents, kept_message, reason, reason_kept, unexplained

STOPPING = "-stopping"
_TAIL = 400

# Docker's words for a container; exited and dead depend on the exit code.
STATES = {
    "created": "INITIALIZING",
    "running": "RUNNING",
    "paused": "RUNNING",
    "restarting": "RESTARTING",
    "removing": "FINALIZING",
}


def status_of(container: Container, handle: Handle) -> Status:
    """The state of a job, from its container and the last lines of its log."""
    facts = container.attrs["State"]
    word = str(facts["Status"])
    stopping = is_stopping(container)
    events = LogEvents(container.logs(tail=_TAIL).decode("utf-8", errors="replace").split("\n"))
    image = container.attrs["Config"]["Image"]
    state, message = STATES.get(word, word.upper()), f"container is {word}"
    code, why, kept_until = None, None, None
    if word in ("exited", "dead"):
        code = int(facts["ExitCode"])
        state, message, why = ending(code, facts, stopping, events, handle["log"])
    elif stopping:
        state, message = "INTERRUPTING", "asked to stop: the step saves first"
    elif word == "running" and events.kept:
        kept_until, why = str(events.kept.get("until")), reason_kept(events, handle["log"])
        look = spec.look_command(daemon_of(handle), handle["name"])
        message = kept_message(events.kept, look)
    return Status(
        state=state,
        message=message,
        exit_code=code,
        handle=handle,
        reason=why,
        progress=events.progress,
        kept_until=kept_until,
        provider={"Id": container.id, "Name": container.name, "Image": image, "State": facts},
        **_times(facts, has_ended=code is not None),
    )


def is_stopping(container: Container) -> bool:
    """Whether a person asked it to stop."""
    return str(container.name).endswith(STOPPING)


def _times(facts: dict[str, Any], *, has_ended: bool) -> dict[str, Any]:
    """When the container began and ended; of a very short one Docker may swap them."""
    began, ended = _time(facts["StartedAt"]), _time(facts["FinishedAt"])
    if not has_ended:
        return {"started_at": began}
    return {"started_at": min(began, ended) if began and ended else began, "ended_at": ended}


def _time(date: str) -> str | None:
    """Docker's time, which has nanoseconds, as documents write it; year 1 means never."""
    if date.startswith("0001"):
        return None
    return f"{date[:19]}.{date[19:].strip('.Z')[:3]:0<3}Z"


def ending(
    code: int, facts: dict[str, Any], stopping: bool, events: LogEvents, log: str
) -> tuple[str, str, dict[str, Any] | None]:
    """State, message and reason of a container that has ended."""
    if code == 0:
        return "DONE", "Job is done", None
    if stopping and code != UNSAVED and not events.kept:
        return "INTERRUPTED", "stopped on request", None
    if code == RESUME_ME:
        again = "run the same command again: it continues"
        taken = reason("the machine was taken away; the work is saved", hint=again)
        return "INTERRUPTED", taken["what"], taken
    why = events.reason
    if why is None and code == TIME_IS_UP:
        why = reason("the time is up: the step was stopped", hint="raise MAX_HOURS; it continues")
    if why is None or facts.get("OOMKilled"):
        why = unexplained(code, log, out_of_memory=bool(facts.get("OOMKilled")))
    return "FAILED", why["what"], why


def gone(handle: Handle) -> Status:
    """The state of a job whose container is not there any more."""
    why = reason(
        f"the container is gone: {handle['name']}",
        detail="somebody removed it, or the daemon lost it; what was saved stays in the scene",
        hint="run the same command again: it continues",
    )
    return Status("FAILED", why["what"], None, handle, why)
