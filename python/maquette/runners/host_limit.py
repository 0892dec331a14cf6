"""Machines that are taken away after some hours, as those of free notebooks: leave them in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maquette.runners import process_identity

MARGIN_S = 300.0  # to save and to leave
_POLL_S = 5.0
_FIRST_PROCESS = 1


class HostLimit:
    """How long this machine may still be used.

    Its time began with its first process, which in a container is the container's start; on a
    machine that has been up for longer than the limit it begins now.

    Args:
        hours: After which the machine goes; 0 where it never does.
    """

    def __init__(self, hours: float) -> None:
        self.hours = hours
        now, began = process_identity.uptime_s(), process_identity.started_s(_FIRST_PROCESS)
        if began is None or now - began >= 3600 * hours:
            began = now
        self._ends = began + 3600 * hours - MARGIN_S

    @property
    def is_up(self) -> bool:
        """Whether it is time to leave."""
        return self.hours > 0 and self.left_s <= 0

    @property
    def left_s(self) -> float:
        """Seconds until it is time to leave; only where there is a limit."""
        return self._ends - process_identity.uptime_s()

    @contextmanager
    def calling(self, leave: Callable[[], None]) -> Iterator[None]:
        """Within, `leave` is called from a thread when it is time, and again until this ends."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_POLL_S):
                if self.is_up:
                    leave()

        watcher = threading.Thread(target=watch, daemon=True)
        if self.hours > 0:
            watcher.start()
        try:
            yield
        finally:
            over.set()
