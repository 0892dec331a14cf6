"""Events as short text, and the words for quantities that tables use."""

from __future__ import annotations

from typing import Any

from maquette.counting import counted
from maquette.quantities import SHOWN, duration, number, numbers, size

__all__ = ["SHOWN", "duration", "event_line", "files", "number", "numbers", "size"]


def event_line(event: dict[str, Any]) -> str | None:
    """Say an event as one line, or None for one that needs no line."""
    kind, stage = event.get("event"), event.get("stage", "")
    if kind == "started":
        return f"{stage} …"
    if kind == "finished":
        return f"{stage}: {duration(event['wall_s'])}  {numbers(event['numbers'])}".rstrip()
    if kind == "skipped":
        return f"{stage}: already done  {numbers(event['numbers'])}".rstrip()
    if kind == "progress":
        metrics = numbers(event.get("metrics", {}))
        return f"{stage}: {event['name']} {event['done']}/{event['total']}  {metrics}".rstrip()
    if kind == "note":
        return f"{stage or 'agent'}: {event['text']}"
    if kind == "kept":
        return f"agent: {event['text']}"
    if kind == "warning":
        return f"{stage or 'agent'}: warning: {event['text']}"
    if kind == "error":
        return f"error: {event['what']}"
    return None


def files(count: int) -> str:
    """Say how many files: 1 file, 2,700 files."""
    return counted(count, "file")
