"""Wait for a condition with a limit; tests never sleep a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], limit_s: float = 270.0, what: str = "the condition") -> T:
    """Poll until `condition()` is truthy and return it; fail the test after `limit_s`.

    A question that costs much, of a process or a service, is asked less often: it takes a third of
    the time, so that what it waits for has a processor.
    """
    deadline = time.monotonic() + limit_s
    while True:
        asked = time.monotonic()
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"{what} did not hold within {limit_s} s"
        threading.Event().wait(max(0.02, 2 * (time.monotonic() - asked)))
