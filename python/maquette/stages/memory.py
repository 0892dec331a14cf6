"""The most memory that a stage holds, with all processes that it starts. Standard library only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_INTERVAL_S = 0.5
_PROC = Path("/proc")
_RESET_PEAK = "5"  # written to clear_refs, see proc(5)


class GpuMeter(Protocol):
    """What tells of the memory of the GPUs that this process uses."""

    def reset(self) -> None:
        """Begin anew."""

    def peak_bytes(self) -> int:
        """The most since then; 0 where no GPU is used."""


@dataclass
class Peak:
    """The most memory at one moment.

    Attributes:
        resident_bytes: Of the process and all that it started, summed over them at each moment;
            what they share, as libraries, counts once. Looked at every half second; between these
            only the process itself is seen. 0 where the system does not tell.
        gpu_bytes: What the process had allocated on its GPU; 0 without one.
    """

    resident_bytes: int = 0
    gpu_bytes: int = 0


@contextmanager
def measured(gpu: GpuMeter | None = None) -> Iterator[Peak]:
    """Measure while the block runs; the result is filled in at its end."""
    peak, ended = Peak(), threading.Event()
    is_exact = _reset_own_peak()
    if gpu is not None:
        gpu.reset()

    def look() -> None:
        while not ended.wait(_INTERVAL_S):
            peak.resident_bytes = max(peak.resident_bytes, tree_bytes(os.getpid()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        last = max(tree_bytes(os.getpid()), _own_peak() if is_exact else 0)
        peak.resident_bytes = max(peak.resident_bytes, last)
        peak.gpu_bytes = 0 if gpu is None else gpu.peak_bytes()


def tree_bytes(process: int) -> int:
    """Resident memory of a process, and what its descendants hold besides for themselves alone."""
    resident, _ = _resident_and_shared(process)
    own = (whole - shared for whole, shared in map(_resident_and_shared, descendants(process)))
    return resident + sum(own)


def descendants(process: int) -> list[int]:
    """The processes that a process started, and that these started; some may be gone by now."""
    children: list[int] = []
    for file in (_PROC / str(process) / "task").glob("*/children"):
        with suppress(OSError, ValueError):
            children += map(int, file.read_text(encoding="ascii").split())
    return children + [one for child in children for one in descendants(child)]


def _resident_and_shared(process: int) -> tuple[int, int]:
    try:
        words = (_PROC / str(process) / "statm").read_text(encoding="ascii").split()
        page = os.sysconf("SC_PAGE_SIZE")
        return int(words[1]) * page, int(words[2]) * page
    except (OSError, ValueError, IndexError):
        return 0, 0


def _reset_own_peak() -> bool:
    try:
        (_PROC / "self" / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _own_peak() -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (_PROC / "self" / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
