"""Wait for a condition with a limit; tests never sleep a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], limit_s: float = 270.0, what: str = "the condition") -> T:
    """Poll until `condition()` is truthy and return it; fail the test after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {limit_s} s"
        threading.Event().wait(0.02)
    return value
