"""KEEP_ON_FAIL: a failed job stays on its machine for a while, so that a person can look at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from maquette.agent.arguments import RESUME_ME, TIME_IS_UP, Arguments, names_of_job
from maquette.agent.step_process import SignalRequests
from maquette.errors import ExitCode

POLL_S = 0.25
_ENDINGS = (ExitCode.OK, RESUME_ME, TIME_IS_UP)  # a job that ended so has not failed


def keep_s(arguments: Arguments, code: int, spent_s: float) -> float:
    """Seconds that an ended job may be kept, within MAX_HOURS and MAX_COST; 0: not at all.

    Args:
        code: The job's exit code.
        spent_s: How long it has had the machine.
    """
    if code in _ENDINGS:
        return 0.0
    asked_s, limit_s = arguments.keep_on_fail_minutes * 60, arguments.limit_s
    return asked_s if limit_s is None else max(0.0, min(asked_s, limit_s - spent_s))


def announcement(arguments: Arguments, code: int, kept_s: float) -> dict[str, Any]:
    """What is told of a job that is kept from now on.

    Returns:
        `text` for the person, and for programs `code`, `scene`, and when it ends: `until`, UTC.
    """
    until = datetime.now(UTC) + timedelta(seconds=kept_s)
    look = f"get in with `{arguments.look_with}`; " if arguments.look_with else ""
    return {
        "code": code,
        "scene": str(arguments.scene),
        "until": until.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "text": f"{arguments.step} failed (exit code {code}); its machine is kept for a look until "
        f"{until:%H:%M} UTC: {look}the scene is in `{arguments.scene}`; "
        f"`make {arguments.step}-stop {names_of_job(arguments)}` ends it",
    }


def wait(
    limit_s: float,
    requests: SignalRequests,
    push: Callable[[], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Any] | None = None,
) -> float:
    """Wait for the time's end or a request to stop; push when asked.

    Args:
        limit_s: How long at most.
        push: Pushes the scene.
        clock: The time in seconds, from any origin.
        pause: Waits so many seconds, less where a push is asked for.

    Returns:
        The seconds that it waited.
    """
    begun, rest = clock(), pause or requests.push.wait
    while not requests.stop and (left_s := begun + limit_s - clock()) > 0:
        rest(min(POLL_S, left_s))
        if requests.push.is_set():
            requests.push.clear()
            push()
    return clock() - begun
