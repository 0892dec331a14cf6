"""What all moving files share: the store, how far it is, and a bound on memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from maquette.errors import JobFailed
from maquette.storage.object_store import ObjectStore

Piece = TypeVar("Piece")
Result = TypeVar("Result")

MEMORY_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
FEWEST_IN_FLIGHT = 16
MOST_IN_FLIGHT = 128
_IN_FLIGHT_PER_SECOND = 2000


class FileChanged(JobFailed):
    """A file was written to while it moved; other files go on."""


class TransferProgress:
    """Counts bytes and files as they move; read by whoever shows progress."""

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self._guard = threading.Lock()

    def add(self, size_bytes: int, files: int = 0) -> None:
        """Count what has moved; negative when an attempt has to be repeated."""
        with self._guard:
            self.bytes += size_bytes
            self.files += files


class MemoryBudget:
    """Lets threads hold at most so many bytes together; a larger single one goes alone.

    First come, first served: some stores stall later parts until an earlier one has come.
    """

    def __init__(self, total: int = MEMORY_BYTES) -> None:
        self._free = self._total = total
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._buffers: list[bytearray] = []

    @contextmanager
    def buffer(self, size: int) -> Iterator[memoryview]:
        """Hold `size` bytes to write to; the same memory serves again and again.

        Memory given back to the allocator stays with the thread that had it, which with many
        threads came to several times the budget.
        """
        with self.held(size):
            with self._changed:
                buffer = self._buffers.pop() if self._buffers else bytearray()
            if len(buffer) < size:
                buffer = bytearray(size)
            try:
                yield memoryview(buffer)[:size]
            finally:
                self._buffers.append(buffer)

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free and hold them."""
        size = min(size, self._total)
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._free >= size)
            self._waiting.popleft()
            self._free -= size
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


@dataclass
class Transfer:
    """One push or pull at work.

    Args:
        root: The scene's folder.
        incoming: Holds downloads until they are whole; on the same file system.
        numbers: Tell their names apart.
    """

    bucket: ObjectStore
    root: Path
    incoming: Path
    progress: TransferProgress = field(default_factory=TransferProgress)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    numbers: Iterator[int] = field(default_factory=count)
    _chunks: list[memoryview] = field(default_factory=list)

    @contextmanager
    def chunk(self) -> Iterator[memoryview]:
        """Hold memory to read into (256 KiB); the same serves again and again."""
        try:
            chunk = self._chunks.pop()
        except IndexError:
            chunk = memoryview(bytearray(_CHUNK_BYTES))
        try:
            yield chunk
        finally:
            self._chunks.append(chunk)

    @property
    def in_flight(self) -> int:
        """How many requests to have under way: more, the longer the way to the store."""
        wanted = int(self.bucket.round_trip_s * _IN_FLIGHT_PER_SECOND)
        return min(max(wanted, FEWEST_IN_FLIGHT), MOST_IN_FLIGHT)


def all_of(
    pool: Executor, work: Callable[[Piece], Result], pieces: Iterable[Piece]
) -> list[Result]:
    """Do all pieces of one file; when one fails, first wait for those under way."""
    futures = [pool.submit(work, piece) for piece in pieces]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()
