"""Arrays that are kept in memory up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Protocol, TypeVar


class Array(Protocol):
    """Of numpy or of torch."""

    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=Array)


class ArrayCache:
    """Keeps what was read; when there is too much, the least recently used goes first.

    Args:
        limit_bytes: Of all arrays together. An array larger than this is never kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._arrays: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Kept]) -> Kept:
        """The array of a key, read when it is not there; several threads may ask."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                found: Kept = self._arrays[key]
                return found
        array = read()
        with self._lock:
            self._keep(key, array)
        return array

    def _keep(self, key: Hashable, array: Array) -> None:
        if key in self._arrays or array.nbytes > self.limit_bytes:
            return
        self._arrays[key] = array
        self.held_bytes += array.nbytes
        while self.held_bytes > self.limit_bytes:
            self.held_bytes -= self._arrays.popitem(last=False)[1].nbytes
