"""From a job as OVHcloud answers it to a `Status`; any field may be null, missing or new. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from maquette.errors import ExitCode
from maquette.jobs.states import has_ended
from maquette.pipelines import registry
from maquette.runners import failures
from maquette.runners.base import Handle, Status
from maquette.runners.ovh import dates, prices, status_codes

UNKNOWN_STATE = ""  # no state in the answer at all
_STORE_REFUSED = {
    "DATASYNC_DATA_STORE_NOT_FOUND",
    "DATASYNC_AUTHENTICATE_FAILED",
    "DATASYNC_PROGRESS_FAILED_FORBIDDEN",
    "DATASYNC_PROGRESS_FAILED_INVALID_CREDENTIALS",
}
_BY_ITSELF = ("JOB_FAILED", "JOB_FAILED_WITH_MESSAGE", "")
_STOPS_BY_REQUEST = ("INTERRUPTED",)


def status_of(job: Mapping[str, Any], handle: Handle) -> Status:
    """Read a job."""
    status = mapping(job.get("status"))
    history = tuple(_history(status.get("history")))
    state = _text(status.get("state")) or (history[-1]["state"] if history else UNKNOWN_STATE)
    ended_at = dates.normal(status.get("finalizedAt"))
    if ended_at and history:
        ended_at = max(ended_at, history[-1]["date"])
    info = mapping(status.get("info"))
    code, message = _text(info.get("code")), _text(info.get("message"))
    exit_code = status.get("exitCode")
    exit_code = exit_code if isinstance(exit_code, int) else None
    ended = has_ended({"state": state, "finalizedAt": ended_at})
    return Status(
        state=state,
        message=message or status_codes.explain(code or f"JOB_{state}")[0],
        exit_code=exit_code,
        handle=handle,
        reason=_reason(state, code, message, exit_code, job) if ended else None,
        provider=dict(job),
        code=code,
        history=history,
        ended_at=ended_at if ended else None,
        duration_s=_duration_s(status, history),
        cost=cost_of(job, datetime.now(UTC)),
    )


def why(status: Status, from_log: failures.Reason | None) -> failures.Reason | None:
    """Why a job failed: the step's own words where it failed by itself, else OVHcloud's.

    Args:
        from_log: The reason that the step's log gives.
    """
    reason = status.reason
    if reason is None or from_log is None:
        return reason
    if status.state == "SYNC_FAILED":
        detail = "\n".join(filter(None, (from_log["detail"], reason["what"])))
        return {**from_log, "detail": detail, "hint": reason["hint"]}
    return from_log if status.code in _BY_ITSELF else reason


def cost_of(job: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """What a job cost at most so far: started minutes from PENDING to the end of its process.

    OVHcloud bills from the second half of PENDING, which its answers do not tell apart.
    """
    status, spec = mapping(job.get("status")), mapping(job.get("spec"))
    history = [(entry["state"], entry["date"]) for entry in _history(status.get("history"))]
    begun = next((date for state, date in history if state == "PENDING"), None)
    begun = begun or next((date for state, date in history if state == "RUNNING"), None)
    begun = begun or dates.normal(status.get("startedAt"))
    if begun is None:
        return None
    after = [date for state, date in history if date >= begun and not _is_billed(state)]
    ended = min(after) if after else dates.normal(status.get("finalizedAt"))
    start, end = dates.parse(begun), dates.parse(ended) or now
    assert start
    minutes = -(-int((end - start).total_seconds() * 1000) // 60_000)
    minutes = max(minutes, 1 if _ran(status) else 0)
    price = prices.of_resources(mapping(spec.get("resources")))
    return {
        "currency": "EUR",
        "at_most": round(minutes * price.eur_per_minute, 4) if price.eur_per_minute else None,
        "minutes": minutes,
        "eur_per_minute": price.eur_per_minute,
        "price_from": price.source,
    }


def has_refused_store(job: Mapping[str, Any]) -> bool:
    """Whether the scene never came because OVHcloud does not know or can not use the data store."""
    status = mapping(job.get("status"))
    syncs = status.get("dataSync")
    of_syncs = [mapping(sync).get("status") for sync in syncs] if isinstance(syncs, list) else []
    codes = {_text(mapping(mapping(one).get("info")).get("code")) for one in (status, *of_syncs)}
    return bool(codes & _STORE_REFUSED) and not _ran(status)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, when it is an object; an empty one otherwise."""
    return value if isinstance(value, Mapping) else {}


def _is_billed(state: str) -> bool:
    return state in ("PENDING", "RUNNING", "INTERRUPTING", "TIMEOUT", "RESTARTING")


def _reason(
    state: str, code: str, message: str, exit_code: int | None, job: Mapping[str, Any]
) -> dict[str, Any] | None:
    if state == "DONE":
        return None
    what, hint = status_codes.explain(code or f"JOB_{state}", message)
    if state == "SYNC_FAILED":
        what, hint, message = _unsynchronised(what, hint, message, job)
    if code in _BY_ITSELF and exit_code:
        reason = failures.unexplained(exit_code, "the log")
        return {**reason, "detail": reason["detail"] or message}
    named = {"step": _label(job, "step"), "names": _names(job)}
    stopped = state in _STOPS_BY_REQUEST and code in ("JOB_INTERRUPTED", "")
    ended_with = ExitCode.INTERRUPTED if stopped else ExitCode.JOB_FAILED
    return failures.reason(what, detail=message, hint=hint.format(**named), code=ended_with)


def _names(job: Mapping[str, Any]) -> str:
    """What a command needs so that it means the scene and pipeline of a job."""
    pipeline = _label(job, "pipeline") or registry.DEFAULT
    names = (_label(job, name) for name in ("step", "model", "group"))
    return registry.naming(pipeline, *names)


def _label(job: Mapping[str, Any], name: str) -> str:
    labels = mapping(mapping(job.get("spec")).get("labels"))
    return _text(labels.get(f"maquette-{name}"))


def _unsynchronised(
    why: str, hint: str, message: str, job: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Results that OVHcloud still holds, or a scene that never came to the machine."""
    detail = "\n".join(dict.fromkeys((why, message)))
    if _ran(mapping(job.get("status"))):
        return (*status_codes.JOB["SYNC_FAILED"], detail)
    return "the scene could not be copied from the bucket to the machine", hint, detail


def _ran(status: Mapping[str, Any]) -> bool:
    states = {entry["state"] for entry in _history(status.get("history"))}
    return bool(status.get("startedAt")) or "RUNNING" in states


def _history(entries: Any) -> list[dict[str, str]]:
    """The entries that have both a state and a date, in order of time.

    Dates are cut at any digit, so within a second the list's order decides, and none goes back.
    """
    found = []
    for entry in entries if isinstance(entries, list) else ():
        state, date = mapping(entry).get("state"), dates.normal(mapping(entry).get("date"))
        if isinstance(state, str) and state and date:
            found.append({"state": state, "date": date})
    if found and _second(found[0]) > _second(found[-1]):
        found.reverse()
    found.sort(key=_second)
    for before, entry in pairwise(found):
        entry["date"] = max(before["date"], entry["date"])
    return found


def _second(entry: Mapping[str, str]) -> str:
    return entry["date"].partition(".")[0]


def _duration_s(status: Mapping[str, Any], history: tuple[dict[str, str], ...]) -> int | None:
    """Seconds that it ran: as the service says, else from dates."""
    duration = status.get("duration")
    if isinstance(duration, int) and duration > 0:
        return duration
    started = dates.parse(status.get("startedAt"))
    ended = dates.parse(status.get("stoppedAt")) or dates.parse(status.get("finalizedAt"))
    if started and ended:
        return max(round((ended - started).total_seconds()), 0)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
