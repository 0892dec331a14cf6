"""How long the work will still take that progress tells of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_LEAST_S = 5.0  # of work before anything is foretold


class Pace:
    """Foretells the end of each count from its events, by their own clock."""

    def __init__(self) -> None:
        self._count = ("", "")
        self._first = (0.0, 0)  # when the count was first told of, and how far it was then

    def left_s(self, event: dict[str, Any]) -> float | None:
        """Seconds until `done` is `total` at the pace so far; None where that is not known yet."""
        clock, done = datetime.fromisoformat(event["time"]).timestamp(), event["done"]
        count = (event.get("stage", ""), event["name"])
        if count != self._count or done < self._first[1]:
            self._count, self._first = count, (clock, done)
        worked_s, made = clock - self._first[0], done - self._first[1]
        if made <= 0 or worked_s < _LEAST_S:
            return None
        return worked_s / made * (event["total"] - done)
