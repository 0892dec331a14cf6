"""One object into a file: to a temporary name, verified, then renamed."""

from __future__ import annotations

import http.client
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maquette.errors import JobFailed, from_os_error
from maquette.storage import etags
from maquette.storage.bucket import Remote
from maquette.storage.index import Entry
from maquette.storage.remote import Outdated
from maquette.storage.safety import target
from maquette.storage.selection import LocalFile
from maquette.storage.transfer import Transfer, Unsteady, all_of
from maquette.storage.wire import Damaged

_CHUNK_BYTES = 1 << 18


def download(
    transfer: Transfer, path: str, wanted: Remote, before: LocalFile | None, pool: Executor
) -> Entry:
    """Download an object and put it in its place when it is whole.

    Args:
        before: The local file that the plan saw; it is replaced only if it is still that one.
        pool: Reads the stretches of a large object.

    Raises:
        Outdated: the object is gone or has changed since it was listed.
        Unsteady: the local file changed meanwhile.
        BadInput: the file would lie outside the scene.
        JobFailed: what comes is damaged again and again, or the disk is full.
    """
    file = target(transfer.root, path)
    with _arriving(transfer.incoming) as temporary:
        with open(temporary, "w+b", buffering=0) as opened:
            tag = _fetch(transfer, path, wanted, opened.fileno(), pool)
        _verify(transfer, path, wanted, tag, temporary)
        facts = temporary.stat()
        if _facts(file) != before:
            raise _kept(file)
        temporary.replace(file)
    transfer.meter.add(0, 1)
    return Entry(facts.st_size, facts.st_mtime_ns, tag, wanted.etag)


@contextmanager
def _arriving(folder: Path) -> Iterator[Path]:
    """Yield a name of its own for a download; what is left there is removed."""
    temporary = folder / uuid.uuid4().hex
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _fetch(transfer: Transfer, path: str, wanted: Remote, descriptor: int, pool: Executor) -> str:
    """Write the object into an open file and return the content tag of what came."""
    part = etags.part_size(wanted.size)
    stretches = list(etags.parts_of(wanted.size, part))
    if len(stretches) == 1:
        return etags.combined([_read(transfer, path, wanted, descriptor, None)])

    def read(stretch: tuple[int, int]) -> bytes:
        return _read(transfer, path, wanted, descriptor, stretch)

    # Alone at first: a store that computes an object's ETag when it is read does it only once so.
    first = read(stretches[0])
    return etags.combined([first, *all_of(pool, read, stretches[1:])])


def _read(
    transfer: Transfer,
    path: str,
    wanted: Remote,
    descriptor: int,
    stretch: tuple[int, int] | None,
) -> bytes:
    offset, length = stretch or (0, wanted.size)
    reader = _writer_into(transfer, descriptor, offset, length, wanted, stretch is None)
    answer = transfer.bucket.get(path, reader, stretch)
    if answer.status == 404:
        raise Outdated(path)
    return bytes(answer.body)


def _writer_into(
    transfer: Transfer, descriptor: int, offset: int, length: int, wanted: Remote, whole: bool
) -> Callable[[http.client.HTTPResponse], bytes]:
    """Make the reader of a response: bytes go to their place in the file and into an MD5."""

    def read(response: http.client.HTTPResponse) -> bytes:
        md5, done, buffer = etags.new_md5(), 0, memoryview(bytearray(_CHUNK_BYTES))
        try:
            while count := response.readinto(buffer):
                if done + count > length:
                    raise Damaged("more bytes came than the object has")
                md5.update(buffer[:count])
                _write(descriptor, buffer[:count], offset + done)
                done += count
                transfer.meter.add(count)
            if done != length:
                raise Damaged(f"{done} of {length} bytes came")
            etag = (response.getheader("etag") or "").strip('"')
            if whole and "-" not in wanted.etag and etag not in ("", wanted.etag):
                raise Outdated
            if whole and wanted.tag not in ("", md5.hexdigest()):
                raise Damaged("the checksum differs")
        except BaseException:
            transfer.meter.add(-done)
            raise
        return bytes(md5.digest())

    return read


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data`; a disk that is nearly full takes only a part of it at first."""
    try:
        while data:
            count = os.pwrite(descriptor, data, offset)
            data, offset = data[count:], offset + count
    except OSError as error:
        raise from_os_error(error, "writing what was downloaded") from error


def _verify(transfer: Transfer, path: str, wanted: Remote, tag: str, file: Path) -> None:
    if wanted.tag:
        right: Any = tag == wanted.tag
    else:
        right = etags.verdict(file, wanted.etag)
    if right is False:
        present = transfer.bucket.head(path)
        if present is None or not wanted.is_still(present):
            raise Outdated(path)
        raise JobFailed(
            f"the download does not have its checksum: `{transfer.bucket.url(path)}`",
            hint="run the same command again; if it stays so, the object is damaged in the store",
        )


def remove_unchanged(file: Path, listed: LocalFile | None) -> None:
    """Remove a local file that is still the one that was listed; fine if it is gone.

    Raises:
        Unsteady: it changed meanwhile.
    """
    present = _facts(file)
    if present is not None and present != listed:
        raise _kept(file)
    file.unlink(missing_ok=True)


def _kept(file: Path) -> Unsteady:
    return Unsteady(
        f"the local file changed meanwhile and is kept: `{file}`",
        hint="run the same command again",
    )


def _facts(file: Path) -> LocalFile | None:
    try:
        facts = file.lstat()
    except FileNotFoundError:
        return None
    return LocalFile(facts.st_size, facts.st_mtime_ns)
