"""How long the work will still take that progress tells of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_LEAST_S = 5.0  # of work before anything is foretold


class Pace:
    """Foretells the end of each count from its events, by their own clock."""

    def __init__(self) -> None:
        self._stage = ""
        self._first: dict[str, tuple[float, int]] = {}  # by count, when it began and how far it was

    def left_s(self, event: dict[str, Any]) -> float | None:
        """Seconds until `done` is `total` at the pace so far; None where that is not known yet."""
        clock, done = datetime.fromisoformat(event["time"]).timestamp(), event["done"]
        stage, name = event.get("stage", ""), event["name"]
        if stage != self._stage:
            self._stage, self._first = stage, {}
        if name not in self._first or done < self._first[name][1]:
            self._first[name] = clock, done
        worked_s, made = clock - self._first[name][0], done - self._first[name][1]
        if made <= 0 or worked_s < _LEAST_S:
            return None
        return worked_s / made * (event["total"] - done)
