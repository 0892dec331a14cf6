"""Work spread over helper processes, of which none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, as_completed
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from maquette.errors import JobFailed

_PAUSE_S = 1.0
Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int,
    meanwhile: Callable[[], None] | None = None,
) -> Generator[Result, None, None]:  # fmt: skip
    """Do `work`, a function of a module, on each of `tasks`; yield results as they come.

    The helpers end when the iterator is closed, and when this process ends in any way.

    Args:
        meanwhile: Called about once a second while all results are still to come.

    Raises:
        JobFailed: a helper was killed.
    """
    before = set(multiprocessing.active_children())
    helpers = max(1, min(processes, len(tasks)))
    pool = ProcessPoolExecutor(helpers, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        futures = [pool.submit(work, task) for task in tasks]
        while meanwhile and futures and not wait_for(futures, _PAUSE_S, FIRST_COMPLETED).done:
            meanwhile()
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise JobFailed(
            "a process of this step ended early",
            hint="when memory is short the system kills one: close other programs or use a "
            "larger machine, and run the same command again",
        ) from error
    finally:
        for helper in set(multiprocessing.active_children()) - before:
            helper.kill()
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends this process
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
