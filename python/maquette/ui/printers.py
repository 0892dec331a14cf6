"""Follow a job on a terminal, in plain lines, or as JSON: three printers of one interface."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from maquette.scene.events import parse_log_line
from maquette.ui import text
from maquette.ui.chart import Chart
from maquette.ui.pace import Pace

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_INTERVAL_S = 10.0


class Printer(Protocol):
    """Shows a job's log lines as they come."""

    def line(self, line: str) -> None:
        """Show one line of the log."""

    def close(self) -> None:
        """Leave the terminal in order."""


class PlainPrinter:
    """Plain lines, progress at most every ten seconds; for logs and pipes.

    Args:
        raw: Show also what the programs inside the step wrote.
    """

    def __init__(self, raw: bool = False) -> None:
        self._raw = raw
        self._last_progress = time.monotonic()
        self._pace = Pace()

    def line(self, line: str) -> None:
        event = parse_log_line(line)
        if event is None:
            if self._raw:
                print(line, flush=True)
            return
        left_s = self._pace.left_s(event) if event.get("event") == "progress" else None
        if event.get("event") == "progress" and not self._is_due():
            return
        if event.get("event") == "error" and not self._raw:
            return  # the command that follows the job prints it at its end
        shown = text.event_line(event)
        if shown:
            left = f"  {text.duration(left_s)} left" if left_s else ""
            print(f"{shown}{left}", flush=True)

    def close(self) -> None:
        pass

    def _is_due(self) -> bool:
        clock = time.monotonic()
        if clock - self._last_progress < PLAIN_INTERVAL_S:
            return False
        self._last_progress = clock
        return True


class JsonPrinter:
    """Each event as one JSON object a line.

    Args:
        chart: Also the points of a chart, each as one more line.
    """

    def __init__(self, chart: bool = False) -> None:
        self._chart = Chart() if chart else None

    def line(self, line: str) -> None:
        event = parse_log_line(line)
        if event is not None:
            for shown in (event, *(self._chart.lines(event) if self._chart else ())):
                print(json.dumps(shown, ensure_ascii=False), flush=True)

    def close(self) -> None:
        pass


class LivePrinter:
    """A line per finished stage, and a moving bar for the one at work."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars: Progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            transient=True,
        )
        self._bars.start()
        self._task: TaskID | None = None
        self._counted = ""

    def line(self, line: str) -> None:
        event = parse_log_line(line)
        if event is None:
            return
        kind = event.get("event")
        if kind == "started":
            self._begin(event)
        elif kind == "progress":
            self._advance(event)
        elif kind != "error":
            shown = text.event_line(event)
            if kind in ("finished", "skipped"):
                self._end()
            if shown:
                self._bars.console.print(shown, markup=False, highlight=False)

    def close(self) -> None:
        self._bars.stop()

    def _begin(self, event: dict[str, Any]) -> None:
        self._end()
        self._counted = ""
        self._task = self._bars.add_task(event["stage"], total=1, metrics="")

    def _advance(self, event: dict[str, Any]) -> None:
        if self._task is None:
            self._begin(event)
        assert self._task is not None
        metrics = text.numbers(event.get("metrics", {}))
        if event["name"] != self._counted:  # the pace of one count foretells nothing of another
            self._counted = event["name"]
            self._bars.reset(self._task, completed=event["done"], total=event["total"])
        self._bars.update(
            self._task, completed=event["done"], total=event["total"], metrics=metrics
        )

    def _end(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


def choose_printer(as_json: bool, chart: bool = False) -> Printer:
    """JSON if asked for, with a chart's points or not; bars on a terminal, else plain lines."""
    if as_json:
        return JsonPrinter(chart)
    return LivePrinter() if sys.stdout.isatty() else PlainPrinter()
