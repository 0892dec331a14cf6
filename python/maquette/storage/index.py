"""What both sides held when they last agreed: one journal per scene and place, crash-safe.

`<scene>/.maquette/<place>.jsonl`: a line per file, the last one counts, a torn last line is
ignored. It is rewritten in one step when a transfer has ended.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any

from maquette.errors import UsageError
from maquette.scene.atomic import write_text
from maquette.scene.paths import OWN_FOLDER
from maquette.storage.selection import LocalFile, facts_of


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


@dataclass(frozen=True)
class _PendingDownload:
    """The entry of a download that is about to get its name."""

    entry: Entry


_PAUSE_S = 0.1
_PENDING = True  # ends such a line
_Row = Entry | _PendingDownload | str | None


class Index:
    """The entries of one scene and one place, and small notes beside them.

    A kill may come between a content's arrival and its entry. `sent` holds the tags of contents on
    their way there: what arrived is then still known to be ours. A download's entry is noted before
    its file gets its name: when that very file is there, both sides did agree.

    Args:
        root: The scene's folder.
        place: Endpoint, bucket and prefix in one line.
        patience_s: How long to wait for another push or pull to end.
    """

    def __init__(self, root: Path, place: str, patience_s: float = 0.0) -> None:
        self.folder = root / OWN_FOLDER
        self.entries: dict[str, Entry] = {}
        self.sent: dict[str, set[str]] = {}
        self._pending: dict[str, Entry] = {}
        self._root, self._patience_s = root, patience_s
        name = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.path = self.folder / f"{name}.jsonl"
        self.manifest_copy = self.folder / f"{name}.manifest.json"
        self.uploads = self.folder / f"{name}.uploads.json"
        self._guard = threading.Lock()
        self._journal: FileIO | None = None

    @contextmanager
    def opened(self, *, write: bool) -> Iterator[None]:
        """Read the journal and, to write, hold it alone.

        Raises:
            UsageError: another push or pull of this scene is at work.
        """
        if not write:
            self._read()
            self.entries |= {path: self._pending[path] for path in self._arrived()}
            yield
            return
        made = [folder for folder in (self.folder, self.folder.parent) if not folder.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "lock"
        with open(file, "w", encoding="utf-8") as lock:
            if not _has_turn(lock, self._patience_s):
                raise UsageError(
                    f"another push or pull of this scene is at work: `{self.folder.parent}`",
                    hint="wait for its end, then run the same command again",
                )
            self._read()
            try:
                for path in self._arrived():
                    self.record(path, self._pending[path])
                yield
            except BaseException:
                if made and list(self.folder.iterdir()) == [file]:
                    _unmake(file, made)  # nothing came: a folder would look like a scene
                raise
            finally:
                self._close()

    def record(self, path: str, entry: Entry) -> None:
        """Write down at once that both sides agree about a file."""
        self._append(path, entry)

    def note_upload(self, path: str, tag: str) -> None:
        """Write down that a content is about to be uploaded."""
        self._append(path, tag)

    def note_download(self, path: str, entry: Entry) -> None:
        """Write down what both sides will agree on once a download has got its name."""
        self._append(path, _PendingDownload(entry))

    def forget(self, path: str) -> None:
        """Write down that a file is gone on both sides."""
        if path in self.entries:
            self._append(path, None)

    def clear(self) -> None:
        """Forget everything about this place."""
        for known in (self.entries, self.sent, self._pending):
            known.clear()
        for file in (self.path, self.manifest_copy, self.uploads):
            file.unlink(missing_ok=True)

    def _arrived(self) -> list[str]:
        """Paths whose file is the very one that a killed pull was about to put there."""
        return [
            path
            for path, entry in self._pending.items()
            if facts_of(self._root / path) == LocalFile(entry.size, entry.mtime_ns)
        ]

    def _append(self, path: str, entry: _Row) -> None:
        """Write a line at once and whole, without a lock.

        A thread that held one here would wait for the interpreter after its write, and all others
        with it: that took more time than all else in a pull of small files.
        """
        line = f"\n{_line(path, entry)}".encode()  # begins anew after a line that a crash has torn
        if self._opened_journal().write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._take(path, entry)

    def _opened_journal(self) -> FileIO:
        if self._journal is None:
            with self._guard:
                self._journal = self._journal or FileIO(self.path, "a")
        return self._journal

    def _close(self) -> None:
        if self._journal is None:
            return
        self._journal.close()
        self._journal = None
        # Entries first: what is read later counts, and an entry ends what was sent.
        known: list[tuple[str, Entry | str]] = [
            *self.entries.items(),
            *((path, tag) for path, tags in self.sent.items() for tag in tags),
        ]
        lines = (_line(path, entry) for path, entry in known)
        write_text(self.path, "".join(lines))

    def _take(self, path: str, entry: _Row) -> None:
        if isinstance(entry, str):
            self.sent.setdefault(path, set()).add(entry)
            return
        if isinstance(entry, _PendingDownload):
            self._pending[path] = entry.entry
            return
        self.sent.pop(path, None)
        self._pending.pop(path, None)
        if entry is None:
            self.entries.pop(path, None)
        else:
            self.entries[path] = entry

    def _read(self) -> None:
        for known in (self.entries, self.sent, self._pending):
            known.clear()
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for row in _rows(text):
            with suppress(ValueError, TypeError):
                path, *values = row
                self._take(path, _entry(values))


def _has_turn(lock: IO[str], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        threading.Event().wait(_PAUSE_S)


def _unmake(file: Path, folders: list[Path]) -> None:
    file.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _rows(text: str) -> Iterator[Any]:
    """Every whole line; all at once when none is torn, which is many times faster."""
    lines = [line for line in text.split("\n") if line]
    try:
        yield from json.loads(f"[{','.join(lines)}]")
    except ValueError:
        for line in lines:
            with suppress(ValueError):
                yield json.loads(line)


def _entry(values: list[Any]) -> _Row:
    if len(values) == 1:
        return str(values[0])
    if values and values[-1] is _PENDING:
        return _PendingDownload(Entry(*values[:-1]))
    return Entry(*values) if values else None


def _line(path: str, entry: _Row) -> str:
    return json.dumps([path, *_values(entry)]) + "\n"


def _values(entry: _Row) -> tuple[Any, ...]:
    if entry is None:
        return ()
    if isinstance(entry, str):
        return (entry,)
    if isinstance(entry, _PendingDownload):
        return (*_values(entry.entry), _PENDING)
    return entry.size, entry.mtime_ns, entry.tag, entry.etag
