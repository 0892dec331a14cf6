"""A large download that an interruption does not undo: the bytes, and beside them what came whole.

The record is believed only as far as the bytes on the disk still have its checksums.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from maquette.storage import etags

_RECORD = ".parts"


class PartialDownload:
    """One object's bytes on their way.

    Args:
        folder: Where downloads arrive.
        path: Of the object; with `etag` it makes the name, so another content never mixes in.
    """

    def __init__(self, folder: Path, path: str, etag: str) -> None:
        self.file = folder / _name(path, etag)
        self._record = self.file.with_suffix(_RECORD)
        self._guard = threading.Lock()
        self._noted = dict(_read(self._record))

    def standing(
        self, descriptor: int, offset: int, length: int, new: Callable[[], Any]
    ) -> str | None:
        """The checksum of a range (bytes) that came before and still stands in the file.

        Args:
            new: Begins a sum; what was noted with another kind of sum does not count.
        """
        noted = self._noted.get((offset, length))
        if noted is None:
            return None
        total = new()
        etags.add_range(total, descriptor, offset, length)
        return noted if total.hexdigest() == noted else None

    def note(self, offset: int, length: int, digits: str) -> None:
        """Write down that a range with this checksum has come whole."""
        with self._guard, open(self._record, "a", encoding="ascii") as record:
            record.write(f"\n{offset} {length} {digits} .")

    def remove(self) -> None:
        """Remove what came, and the record."""
        self._record.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    def arrive(self, file: Path) -> None:
        """Give the bytes their place; the record first, so that it never speaks of another file."""
        self._record.unlink(missing_ok=True)
        self.file.replace(file)


def sweep(folder: Path, wanted: Iterable[tuple[str, str]]) -> None:
    """Make the folder, and remove from it all but the partial downloads of `wanted`.

    Args:
        wanted: Path and ETag of the objects that are still to come.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {_name(path, etag) for path, etag in wanted}
    for item in folder.iterdir():
        if item.stem not in kept:
            item.unlink(missing_ok=True)


def _name(path: str, etag: str) -> str:
    return hashlib.sha256(f"{path}\n{etag}".encode()).hexdigest()[:32]


def _read(record: Path) -> Iterable[tuple[tuple[int, int], str]]:
    """Every line that was written to its end."""
    if not record.is_file():
        return
    for line in record.read_text(encoding="ascii", errors="replace").splitlines():
        words = line.split()
        if len(words) == 4 and words[3] == ".":
            yield (int(words[0]), int(words[1])), words[2]
