"""Progress as the lines of which Paperspace draws a chart: seconds across, stages done upwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

NAME = "progress"
_ENDS = ("finished", "skipped")


class ChartLines:
    """Turns events of a step into points of a chart.

    The time is that of the events, so that a log read later gives the same chart.
    """

    def __init__(self) -> None:
        self._started: datetime | None = None
        self._done = 0

    def of(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """An axis where a step begins, and a point where it or a stage begins or ends."""
        kind = event.get("event")
        if kind == "step":
            self._done = 0
            if self._started is None:
                yield {"chart": NAME, "axis": "time (seconds)"}
        elif kind not in ("started", *_ENDS):
            return
        self._done += kind in _ENDS
        clock = datetime.fromisoformat(event["time"])
        self._started = self._started or clock
        elapsed_s = (clock - self._started).total_seconds()
        yield {"chart": NAME, "x": round(elapsed_s, 3), "y": self._done}
