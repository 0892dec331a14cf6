"""Why a step failed and how far it came, from the events in its log and its exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from maquette.errors import ExitCode
from maquette.scene.events import parse_log_line

Reason = dict[str, Any]

_NOT_FOUND = {126: "its program may not be executed", 127: "its program is not there"}


class LogEvents:
    """The last events in a step's log so far.

    Attributes:
        reason: Of the last error event: what, detail, hint, code; None when there was none.
        progress: The last event about how far the step is.
        kept: What the agent says of a failed job that it keeps for a look; None: it keeps none.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.reason: Reason | None = None
        self.progress: dict[str, Any] | None = None
        self.kept: dict[str, Any] | None = None
        for line in lines:
            self.read(line)

    def read(self, line: str) -> bool:
        """Take one line of the log in; says whether it changed anything."""
        event = parse_log_line(line)
        kind = event.get("event") if event else None
        if event and kind == "error":
            self.reason = {key: event.get(key) for key in ("what", "detail", "hint", "code")}
        elif kind in ("progress", "started"):
            self.progress = event
        elif kind == "kept":
            self.kept = event
        return kind in ("error", "progress", "started")


def until_clock(date: str) -> str:
    """An agent's date as this machine's clock shows it; as it is where it is none."""
    try:
        return f"{datetime.fromisoformat(date).astimezone():%H:%M}"
    except ValueError:
        return date


def kept_message(kept: dict[str, Any], look: str) -> str:
    """Say that a job has failed and that its machine is kept.

    Args:
        kept: The agent's event.
        look: The command that gets a person in.
    """
    until = until_clock(str(kept.get("until")))
    return f"failed (exit code {kept.get('code')}), kept for a look until {until}: `{look}`"


def reason_kept(events: LogEvents, log: str) -> Reason:
    """Why a job failed whose machine was kept: what its step says, else its exit code."""
    code = (events.kept or {}).get("code")
    return events.reason or unexplained(code if isinstance(code, int) else 1, log)


def exit_code(code: int) -> int:
    """A process' code as shells write it: 128 plus the number of the signal that ended it."""
    return code if code >= 0 else 128 - code


def unexplained(code: int, log: str, *, out_of_memory: bool = False) -> Reason:
    """Say why a step ended that did not say it itself.

    Args:
        code: As shells write it.
        log: Where the person finds the log, or how to see it.
        out_of_memory: The system killed it for that, as far as is known.
    """
    again = "run the same command again: it continues; see `make help` for memory knobs"
    if out_of_memory:
        return reason("the step was killed: the machine ran out of memory", hint=again)
    if code == 128 + signal.SIGKILL:
        return reason(
            "the step was killed by the system or by a person (signal 9)",
            detail="often this machine ran out of memory",
            hint=again,
        )
    if code in _NOT_FOUND:
        return reason(
            f"the image has no maquette that runs: {_NOT_FOUND[code]} (exit code {code})",
            detail=f"see {log}",
            hint="leave IMAGE out to take ours (`make images` builds them); `make check-image` "
            "says what one lacks",
        )
    if code in {128 + number for number in signal.Signals}:
        name = signal.Signals(code - 128).name
        return reason(f"the step crashed ({name})", hint=f"see {log}", code=ExitCode.BUG)
    return reason(f"the step ended with exit code {code}", hint=f"see {log}", code=code)


def reason(
    what: str, *, detail: str = "", hint: str = "", code: int = ExitCode.JOB_FAILED
) -> Reason:
    """Why a job failed, as the document keeps it."""
    return {"what": what, "detail": detail, "hint": hint, "code": int(code)}
