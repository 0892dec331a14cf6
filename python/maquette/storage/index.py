"""What both sides held when they last agreed: one journal per scene and place, crash-safe.

`<scene>/.maquette/<place>.jsonl`: a line per file, the last one counts, a torn last line is
ignored. It is rewritten in one step when a transfer has ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TextIO

from maquette.errors import UsageError
from maquette.scene.atomic import write_text
from maquette.storage.safety import OWN_FOLDER


@dataclass(frozen=True)
class Entry:
    """A file that was the same here and there.

    Args:
        size: Bytes.
        mtime_ns: Of the local file then.
        tag: Its content tag.
        etag: The object's ETag then.
    """

    size: int
    mtime_ns: int
    tag: str
    etag: str


class Index:
    """The entries of one scene and one place, and small notes beside them.

    Args:
        root: The scene's folder.
        place: Endpoint, bucket and prefix in one line.
    """

    def __init__(self, root: Path, place: str) -> None:
        self.folder = root / OWN_FOLDER
        self.entries: dict[str, Entry] = {}
        name = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.path = self.folder / f"{name}.jsonl"
        self.manifest_copy = self.folder / f"{name}.manifest.json"
        self.uploads = self.folder / f"{name}.uploads.json"
        self._guard = threading.Lock()
        self._journal: TextIO | None = None

    @contextmanager
    def opened(self, *, write: bool) -> Iterator[None]:
        """Read the journal and, to write, hold it alone.

        Raises:
            UsageError: another push or pull of this scene is at work.
        """
        if not write:
            self._read()
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"another push or pull of this scene is at work: `{self.folder.parent}`",
                    hint="wait for its end, then run the same command again",
                ) from None
            self._read()
            try:
                yield
            finally:
                self._close()

    def record(self, path: str, entry: Entry) -> None:
        """Write down at once that both sides agree about a file."""
        self._append(path, entry)

    def forget(self, path: str) -> None:
        """Write down that a file is gone on both sides."""
        if path in self.entries:
            self._append(path, None)

    def clear(self) -> None:
        """Forget everything about this place."""
        self.entries.clear()
        for file in (self.path, self.manifest_copy, self.uploads):
            file.unlink(missing_ok=True)

    def _append(self, path: str, entry: Entry | None) -> None:
        with self._guard:
            if self._journal is None:
                self._journal = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
                self._journal.write("\n")  # ends a line that a crash may have torn
            self._journal.write(_line(path, entry))
            self._journal.flush()
            _apply(self.entries, path, entry)

    def _close(self) -> None:
        if self._journal is None:
            return
        self._journal.close()
        self._journal = None
        lines = (_line(path, entry) for path, entry in sorted(self.entries.items()))
        write_text(self.path, "".join(lines))

    def _read(self) -> None:
        self.entries.clear()
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.split("\n"):
            try:
                path, *values = json.loads(line)
                _apply(self.entries, path, Entry(*values) if values else None)
            except (ValueError, TypeError):
                continue


def _line(path: str, entry: Entry | None) -> str:
    return json.dumps([path, *(astuple(entry) if entry else ())]) + "\n"


def _apply(entries: dict[str, Entry], path: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(path, None)
    else:
        entries[path] = entry
