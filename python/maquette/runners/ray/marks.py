"""What the driver writes into a job's log for us, beside what the step writes.

A mark is a line of its own, and so begins with a line end, which belongs to it: the step's output
may have stopped in the middle of a line.
"""

from __future__ import annotations

import json
import re
from typing import Any

from maquette.scene.events import now

_PREFIX = "@maquette-job "
_MARK = re.compile(rf"\n{_PREFIX}([^\n]*)\n")
BEGIN, STOPPING, END = "begin", "stopping", "end"


def mark(what: str, **facts: Any) -> str:
    """The text of a mark."""
    return f"\n{_PREFIX}{json.dumps({'mark': what, 'time': now(), **facts})}\n"


def facts_of(text: str, what: str) -> dict[str, Any] | None:
    """The last mark of a kind in a log, or a part of it; None where there is none."""
    found = [json.loads(each) for each in _MARK.findall("\n" + text)]
    return next((facts for facts in reversed(found) if facts["mark"] == what), None)


def without(text: str) -> str:
    """What the step wrote: all after the mark of its begin, if that is there."""
    begin = _MARK.search(text)
    if begin is None or json.loads(begin[1])["mark"] != BEGIN:
        return ""
    return _MARK.sub("", text[begin.end() :])
