"""A job's progress as points of a chart, in the JSON lines that Paperspace's console drew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_NAME = "progress"
_ENDS = ("finished", "skipped")


class Chart:
    """Counts the stages of one job: x is seconds since its first event, y the stages done."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._done = 0

    def lines(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """What an event adds: the axis at first, then a point at each stage's start and end."""
        at = datetime.fromisoformat(event["time"])
        added: list[dict[str, Any]] = []
        if self._began is None:
            self._began = at
            added.append({"chart": _NAME, "axis": "time (seconds)"})
        kind = event["event"]
        self._done += kind in _ENDS
        if kind == "started" or kind in _ENDS:
            x = round((at - self._began).total_seconds(), 3)
            added.append({"chart": _NAME, "x": x, "y": self._done})
        return added
