"""One object into a file: to a temporary name, verified, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maquette.storage.diffing import Difference
from maquette.storage.index import Entry
from maquette.storage.manifest import Outdated
from maquette.storage.object_reader import ChecksumMismatch, ObjectReader
from maquette.storage.partial_download import PartialDownload
from maquette.storage.safety import remove_empty, target
from maquette.storage.selection import LocalFile, facts_of
from maquette.storage.transfer import FileChanged, Transfer, all_of

NoteDownload = Callable[[str, Entry], None]


def download(transfer: Transfer, found: Difference, note: NoteDownload, pool: Executor) -> Entry:
    """Download an object and put it in its place when it is whole.

    Args:
        found: The object, and the local file that the plan saw; it is replaced only if it is
            still that one.
        note: Called with the path and its entry before the file gets its name.
        pool: Reads the ranges of a large object.

    Raises:
        Outdated: the object is gone or has changed since it was listed.
        FileChanged: the local file changed meanwhile.
        BadInput: the file would lie outside the scene.
        JobFailed: what comes is damaged again and again, or the disk is full.
    """
    path, wanted = found.path, found.remote
    assert wanted
    destination = _Destination(target(transfer.root, path), found.local, partial(note, path))
    source = ObjectReader(transfer, path, wanted)
    large = len(source.ranges) > 1
    entry = _in_ranges(source, destination, pool) if large else _at_once(source, destination)
    transfer.progress.add(0, 1)
    return entry


@dataclass(frozen=True)
class _Destination:
    """Where a download belongs, the file that the plan saw there, and who is told before."""

    file: Path
    before: LocalFile | None
    note: Callable[[Entry], None]

    def prepare(self, facts: os.stat_result, tag: str, etag: str) -> Entry:
        """Make sure that what arrived, a file with these facts, may get its name now."""
        entry = Entry(facts.st_size, facts.st_mtime_ns, tag, etag)
        self.note(entry)
        if facts_of(self.file) != self.before:
            if self.before is not None or not self.file.is_dir():
                raise _kept(self.file)
            remove_empty(self.file)
        return entry


def _at_once(source: ObjectReader, destination: _Destination) -> Entry:
    """Download a small object under a name of its own; an interruption leaves nothing."""
    temporary = source.transfer.incoming / f"{next(source.transfer.numbers)}"
    try:
        with open(temporary, "xb", buffering=0) as opened:
            found = source.read(0, opened.fileno())
            facts = os.fstat(opened.fileno())
        entry = destination.prepare(facts, source.tag_of([found], temporary), source.wanted.etag)
        temporary.replace(destination.file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return entry


def _in_ranges(source: ObjectReader, destination: _Destination, pool: Executor) -> Entry:
    """Download a large object; the next pull continues after an interruption."""
    begun = PartialDownload(source.transfer.incoming, source.path, source.wanted.etag)
    try:
        with open(os.open(begun.file, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as opened:
            found = _fetch(source, begun, opened.fileno(), pool)
            opened.truncate(source.wanted.size)
        tag = source.tag_of(found, begun.file)
    except (Outdated, ChecksumMismatch) as error:
        if isinstance(error, Outdated) or not source.checksums.right:
            begun.remove()  # else what was noted is right, and only the rest is to be fetched
        raise
    entry = destination.prepare(begun.file.stat(), tag, source.wanted.etag)
    begun.arrive(destination.file)
    return entry


def _fetch(
    source: ObjectReader, begun: PartialDownload, descriptor: int, pool: Executor
) -> list[str]:
    """Write what is missing into an open file and return the sums of all ranges."""
    found: dict[int, str] = {}

    def arrived(number: int, digits: str) -> None:
        begun.note(*source.ranges[number], digits)
        found[number] = digits

    def fetch(numbers: range) -> None:
        for number in numbers:
            byte_range = source.ranges[number]
            standing = begun.standing(descriptor, *byte_range, source.checksums.new)
            if standing is not None and not source.checksums.is_wrong(number, standing):
                source.transfer.progress.add(byte_range[1])
                found[number] = standing
        if len(numbers) > 1 and not any(number in found for number in numbers):
            source.read_together(numbers, descriptor, arrived)
        for number in numbers:
            if number not in found:
                arrived(number, source.read(number, descriptor))

    groups = source.groups
    # Our own store computes an object's ETag when it is first read: once, if one part comes alone.
    if source.transfer.bucket.location.is_ours_alone:
        fetch(groups[0])
        groups = groups[1:]
    all_of(pool, fetch, groups)
    return [found[number] for number in range(len(source.ranges))]


def remove_unchanged(file: Path, listed: LocalFile | None) -> None:
    """Remove a local file that is still the one that was listed; fine if it is gone.

    Raises:
        FileChanged: it changed meanwhile.
    """
    present = facts_of(file)
    if present is not None and present != listed:
        raise _kept(file)
    file.unlink(missing_ok=True)


def _kept(file: Path) -> FileChanged:
    return FileChanged(
        f"the local file changed meanwhile and is kept: `{file}`",
        hint="run the same command again",
    )
