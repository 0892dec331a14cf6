"""One file into the bucket: whole, or in parts that a later push takes up."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from maquette.storage import etags
from maquette.storage.checksums import md5_and_crc32
from maquette.storage.etags import combined, part_size, parts_of, verdict
from maquette.storage.index import Entry
from maquette.storage.object_store import Part, RemoteObject
from maquette.storage.pending_uploads import PendingUploads, mark, unmark
from maquette.storage.transfer import FileChanged, Transfer, all_of

_READS = 5

NoteUpload = Callable[[str, str], None]


class FileVanished(Exception):
    """The file was removed since it was listed; there is nothing to upload."""


@dataclass(frozen=True)
class Uploaded:
    """The object that was written, and the entry that remembers it."""

    remote: RemoteObject
    entry: Entry


def upload_whole(transfer: Transfer, path: str, note: NoteUpload) -> Uploaded:
    """Upload a file of up to one part in one request.

    Args:
        note: Called with the content's tag before it can arrive.

    Raises:
        FileVanished: the file is gone.
        FileChanged: it changes all the time.
    """
    file = transfer.root / path
    with transfer.budget.held(_stat(file).st_size):
        data, facts = _steady_read(file)
        md5, crc = md5_and_crc32(data)
        tag = md5.hexdigest()
        note(path, tag)
        answer = transfer.bucket.put(path, data, md5.digest(), tag, {})
    transfer.progress.add(len(data), 1)
    remote = RemoteObject(len(data), answer.etag, tag, crcs=crc.hexdigest())
    return Uploaded(remote, Entry(len(data), facts.st_mtime_ns, tag, answer.etag))


def upload_in_parts(
    transfer: Transfer, path: str, note: NoteUpload, notes: PendingUploads, pool: Executor
) -> Uploaded:
    """Upload a file in parts; parts that an interrupted upload left in the store are kept.

    Args:
        note: Called with the content's tag before it can arrive.

    Raises:
        FileVanished: the file is gone.
        FileChanged: it changed meanwhile.
    """
    file = transfer.root / path
    before = _stat(file)
    upload_id, finished = notes.resume(transfer.bucket, path, before)
    marked = pool.submit(mark, transfer.bucket, path, upload_id)
    with _opened(file) as opened:
        pieces = enumerate(parts_of(before.st_size, part_size(before.st_size)), start=1)
        send = _part_sender(transfer, path, upload_id, opened.fileno(), finished)
        parts = all_of(pool, send, pieces)
    after = _stat(file)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        notes.drop(transfer.bucket, path)
        raise FileChanged(
            f"the file changed while it was uploaded: `{file}`",
            hint="run the same command again when it is finished",
        )
    marked.result()
    tag = combined([bytes.fromhex(part.etag) for part in parts])
    note(path, tag)
    remote = transfer.bucket.complete_upload(
        path, upload_id, parts, tag, lambda etag: verdict(file, etag) is True
    )
    remote = replace(remote, crcs="".join(part.crc for part in parts))
    notes.forget(path)
    pool.submit(unmark, transfer.bucket, upload_id)
    transfer.progress.add(0, 1)
    return Uploaded(remote, Entry(remote.size, before.st_mtime_ns, tag, remote.etag))


def _part_sender(
    transfer: Transfer, path: str, upload_id: str, descriptor: int, finished: dict[int, Part]
) -> Callable[[tuple[int, tuple[int, int]]], Part]:
    def send(piece: tuple[int, tuple[int, int]]) -> Part:
        number, (offset, length) = piece
        with transfer.budget.buffer(length) as buffer:
            size = os.preadv(descriptor, [buffer], offset)
            md5, crc = md5_and_crc32(buffer[:size])
            known = finished.get(number)
            if known is None or (known.etag, known.size) != (md5.hexdigest(), size):
                transfer.bucket.put_part(path, upload_id, number, buffer[:size], md5.digest())
            transfer.progress.add(size)
        return Part(number, md5.hexdigest(), size, crc.hexdigest())

    return send


def _steady_read(file: Path) -> tuple[bytes, os.stat_result]:
    """Read a file that may be written meanwhile: until its size and time stand still."""
    for _ in range(_READS):
        before = _stat(file)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            raise FileVanished from None
        after = _stat(file)
        same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if same and len(data) == after.st_size <= etags.PART_BYTES:
            return data, after
    raise FileChanged(
        f"the file changes all the time: `{file}`",
        hint="run the same command again when it is finished",
    )


def _opened(file: Path) -> BinaryIO:
    try:
        return open(file, "rb")
    except FileNotFoundError:
        raise FileVanished from None


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError:
        raise FileVanished from None
