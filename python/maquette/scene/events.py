"""Progress as one JSON event a line: to `stages/events.jsonl` and, prefixed, to the log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from maquette.errors import MaquetteError

LOG_PREFIX = "@maquette "
_MIN_INTERVAL_S = 0.2
SENTENCES = {"text", "what", "detail", "hint"}  # fields of events that a person reads


def now() -> str:
    """The time as documents write it: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_log_line(line: str) -> dict[str, Any] | None:
    """Return the event that a log line carries, or None for a plain line."""
    if not line.startswith(LOG_PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(LOG_PREFIX))
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class Progress:
    """Tells how far a step is. One instance per process; stages receive it.

    Args:
        path: The events file, appended to; None writes to the log only.
        log: Where prefixed lines go (standard output by default).
        check: Called at each step of the work; may raise to end it.
        complete: Makes sentences for the person complete: commands in them name their scene.
    """

    def __init__(
        self, path: Path | None = None, log: TextIO | None = None,
        check: Callable[[], None] = lambda: None, complete: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self._path = path
        self._log = log
        self._check = check
        self.complete = complete
        self._stage = ""
        self._last_progress = 0.0

    def step(self, name: str, done: int, total: int, **metrics: float | int | str) -> None:
        """Report `done` of `total` of the work called `name`; cheap enough for inner loops."""
        self.check()
        clock = time.monotonic()
        if done < total and clock - self._last_progress < _MIN_INTERVAL_S:
            return
        self._last_progress = clock
        self._emit("progress", name=name, done=done, total=total, metrics=metrics)

    def check(self) -> None:
        """End the work here where somebody asked for it; `step` does so too."""
        self._check()

    def say(self, sentence: str) -> None:
        """Tell the person something worth knowing."""
        self._emit("note", text=sentence)

    def warn(self, sentence: str) -> None:
        """Tell the person something that may spoil the result."""
        self._emit("warning", text=sentence)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Mark everything reported inside the block as belonging to the stage `name`."""
        previous, self._stage = self._stage, name
        try:
            yield
        finally:
            self._stage = previous

    def event(self, kind: str, **fields: Any) -> None:
        """Report the start or end of a stage, or an error."""
        self._emit(kind, **fields)

    def failed(self, error: MaquetteError) -> int:
        """Report an error; returns its exit code."""
        told = {"what": error.what, "detail": error.detail, "hint": error.hint}
        self._emit("error", code=int(error.exit_code), **told)
        return int(error.exit_code)

    def _emit(self, kind: str, **fields: Any) -> None:
        said = {name: text for name, text in fields.items() if name in SENTENCES and text}
        fields |= {name: self.complete(text) for name, text in said.items()}
        event = {"time": now(), "event": kind, "stage": self._stage, **fields}
        line = json.dumps(event, ensure_ascii=False)
        print(LOG_PREFIX + line, file=self._log or sys.stdout, flush=True)
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as events:
                events.write(line + "\n")
