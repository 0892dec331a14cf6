"""One file into the bucket: whole, or in parts that a later push takes up."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from maquette.scene.atomic import write_json
from maquette.storage.bucket import Part, Remote
from maquette.storage.etags import PART_BYTES, combined, new_md5, part_size, parts_of
from maquette.storage.index import Entry
from maquette.storage.transfer import Transfer, Unsteady, all_of

_READS = 5
_ABANDONED = timedelta(hours=24)


class Vanished(Exception):
    """The file was removed since it was listed; there is nothing to upload."""


@dataclass(frozen=True)
class Uploaded:
    """The object that was written, and the entry that remembers it."""

    remote: Remote
    entry: Entry


def upload_whole(transfer: Transfer, path: str) -> Uploaded:
    """Upload a file of up to one part in one request.

    Raises:
        Vanished: the file is gone.
        Unsteady: it changes all the time.
    """
    file = transfer.root / path
    with transfer.budget.held(_stat(file).st_size):
        data, facts = _steady_read(file)
        md5 = new_md5()
        md5.update(data)
        tag = md5.hexdigest()
        answer = transfer.bucket.put(path, data, md5.digest(), tag, {})
    transfer.meter.add(len(data), 1)
    remote = Remote(len(data), answer.etag, tag)
    return Uploaded(remote, Entry(len(data), facts.st_mtime_ns, tag, answer.etag))


def upload_in_parts(transfer: Transfer, path: str, notes: UploadNotes, pool: Executor) -> Uploaded:
    """Upload a file in parts; parts that an interrupted upload left in the store are kept.

    Raises:
        Vanished: the file is gone.
        Unsteady: it changed meanwhile.
    """
    file = transfer.root / path
    before = _stat(file)
    upload_id, finished = notes.resume(transfer, path, before)
    with open(file, "rb") as opened:
        pieces = enumerate(parts_of(before.st_size, part_size(before.st_size)), start=1)
        send = _part_sender(transfer, path, upload_id, opened.fileno(), finished)
        parts = all_of(pool, send, pieces)
    after = _stat(file)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        notes.drop(transfer, path)
        raise Unsteady(
            f"the file changed while it was uploaded: `{file}`",
            hint="run the same command again when it is finished",
        )
    tag = combined([bytes.fromhex(part.etag) for part in parts])
    remote = transfer.bucket.complete_upload(path, upload_id, parts, tag)
    notes.forget(path)
    transfer.meter.add(0, 1)
    return Uploaded(remote, Entry(remote.size, before.st_mtime_ns, tag, remote.etag))


def _part_sender(
    transfer: Transfer, path: str, upload_id: str, descriptor: int, finished: dict[int, Part]
) -> Callable[[tuple[int, tuple[int, int]]], Part]:
    def send(piece: tuple[int, tuple[int, int]]) -> Part:
        number, (offset, length) = piece
        with transfer.budget.held(length):
            data = os.pread(descriptor, length, offset)
            md5 = new_md5()
            md5.update(data)
            known = finished.get(number)
            if known is None or (known.etag, known.size) != (md5.hexdigest(), len(data)):
                transfer.bucket.put_part(path, upload_id, number, data, md5.digest())
            transfer.meter.add(len(data))
        return Part(number, md5.hexdigest(), len(data))

    return send


class UploadNotes:
    """Which uploads in parts are ours and under way; a file beside the index.

    Args:
        file: JSON: path → upload id, size and time of the file it belongs to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()
        try:
            self._notes: dict[str, list[Any]] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._notes = {}

    def resume(
        self, transfer: Transfer, path: str, facts: os.stat_result
    ) -> tuple[str, dict[int, Part]]:
        """The id and finished parts of this file's upload; a new one if there is none to resume."""
        noted = self._notes.get(path)
        if noted and noted[1:] == [facts.st_size, facts.st_mtime_ns]:
            finished = transfer.bucket.finished_parts(path, noted[0])
            if finished is not None:
                return noted[0], finished
            self.forget(path)
        elif noted:
            self.drop(transfer, path)
        upload_id = transfer.bucket.start_upload(path)
        self._change(path, [upload_id, facts.st_size, facts.st_mtime_ns])
        return upload_id, {}

    def drop(self, transfer: Transfer, path: str) -> None:
        """Abort the upload of a path."""
        transfer.bucket.abort_upload(path, self._notes[path][0])
        self.forget(path)

    def forget(self, path: str) -> None:
        """Note that a path's upload has ended."""
        self._change(path, None)

    def sweep(self, transfer: Transfer, wanted: set[str]) -> None:
        """Abort our uploads of files that are no longer wanted, and old ones of anybody here."""
        for path in self._notes.keys() - wanted:
            self.drop(transfer, path)
        kept = {note[0] for note in self._notes.values()}
        for path, upload_id, begun in transfer.bucket.unfinished_uploads():
            if upload_id not in kept and datetime.now(UTC) - begun > _ABANDONED:
                transfer.bucket.abort_upload(path, upload_id)

    def is_empty(self) -> bool:
        """Whether no upload of ours is under way."""
        return not self._notes

    def _change(self, path: str, note: list[Any] | None) -> None:
        with self._guard:
            if note is None:
                self._notes.pop(path, None)
            else:
                self._notes[path] = note
            write_json(self._file, self._notes)


def _steady_read(file: Path) -> tuple[bytes, os.stat_result]:
    """Read a file that may be written meanwhile: until its size and time stand still."""
    for _ in range(_READS):
        before = _stat(file)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            raise Vanished from None
        after = _stat(file)
        same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if same and len(data) == after.st_size <= PART_BYTES:
            return data, after
    raise Unsteady(
        f"the file changes all the time: `{file}`",
        hint="run the same command again when it is finished",
    )


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError:
        raise Vanished from None
