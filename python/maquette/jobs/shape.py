"""Whether a job document that was read has all that the commands read, each of its kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_MISSING = object()

# Where a value stands → what it may be.
_KINDS: dict[tuple[str, ...], tuple[type, ...]] = {
    ("id",): (str,),
    ("createdAt",): (str,),
    ("status",): (dict,),
    ("status", "state"): (str,),
    ("status", "exitCode"): (int, type(None)),
    ("status", "history"): (list,),
    ("status", "info"): (dict,),
    ("status", "info", "code"): (str,),
    ("status", "info", "message"): (str,),
    ("maquette",): (dict,),
    ("maquette", "attempt"): (int,),
    ("maquette", "backend"): (str,),
    ("maquette", "handle"): (dict, type(None)),
    ("maquette", "request"): (dict,),
    **{("maquette", name): (str,) for name in ("scene", "model", "group", "pipeline", "step")},
    ("maquette", "progress"): (dict, type(None)),
    ("maquette", "reason"): (dict, type(None)),
}
# The same of what documents of before, or of jobs that did not come so far, may lack.
_KINDS_IF_THERE: dict[tuple[str, ...], tuple[type, ...]] = {
    ("status", "duration"): (int, type(None)),
    ("maquette", "submission"): (dict, type(None)),
    ("maquette", "cost"): (dict, type(None)),
}
_DATES = (
    *(("status", f"{name}At") for name in ("initializing", "started", "stopped", "finalized")),
    ("maquette", "kept_until"),
)


def is_whole(document: Any) -> bool:
    """Whether a document can be worked with; one that can not is damaged."""
    if not all(_is_of(document, place, kinds) for place, kinds in _KINDS.items()):
        return False
    optional = ((_value(document, place), kinds) for place, kinds in _KINDS_IF_THERE.items())
    if not all(value is None or isinstance(value, kinds) for value, kinds in optional):
        return False
    history = document["status"]["history"]
    if not history or not all(_is_of(entry, ("state",), (str,)) for entry in history):
        return False
    dates = [document["createdAt"], *(entry.get("date") for entry in history)]
    later = (_value(document, place) for place in _DATES)
    return all(map(_is_date, dates)) and all(date is None or _is_date(date) for date in later)


def _is_of(value: Any, place: tuple[str, ...], kinds: tuple[type, ...]) -> bool:
    return isinstance(_value(value, place, missing=_MISSING), kinds)


def _value(value: Any, place: tuple[str, ...], missing: Any = None) -> Any:
    for name in place:
        if not isinstance(value, dict) or name not in value:
            return missing
        value = value[name]
    return value


def _is_date(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False
