"""The bytes of one object into an open file, range by range, each checked as it arrives.

Every request says which content it expects (If-Match), so no file is made of two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from maquette.errors import JobFailed, from_os_error
from maquette.storage import etags
from maquette.storage.checksums import checksums_of
from maquette.storage.connection import Damaged
from maquette.storage.manifest import Outdated
from maquette.storage.object_store import ATTEMPTS, PRECONDITION_FAILED, Body, RemoteObject
from maquette.storage.transfer import FEWEST_IN_FLIGHT, Transfer

_FEWEST_REQUESTS = 2 * FEWEST_IN_FLIGHT  # each thread has a second one while others still read
_MOST_TOGETHER = 8

PartArrived = Callable[[int, str], object]


class ChecksumMismatch(JobFailed):
    """What came does not have the object's checksum, although each request went well."""


class ObjectReader:
    """An object that is to be downloaded.

    `checksums` tells how what comes is checked, `ranges` the offset and length (bytes) of what is
    checked by itself, `groups` the numbers of those that one request brings while all goes well.
    """

    def __init__(self, transfer: Transfer, path: str, wanted: RemoteObject) -> None:
        self.transfer = transfer
        self.path = path
        self.wanted = wanted
        self.ranges = list(etags.parts_of(wanted.size, etags.part_size(wanted.size)))
        self.checksums = checksums_of(wanted, len(self.ranges))
        count = len(self.ranges)
        each = min(max(count // _FEWEST_REQUESTS, 1), _MOST_TOGETHER)
        self.groups = [range(*ends) for ends in pairwise([*range(0, count, each), count])]

    def read_together(self, numbers: range, descriptor: int, arrived: PartArrived) -> None:
        """Write consecutive ranges to their places by one request, as far as all goes well.

        Args:
            arrived: Called with the number and the sum of each that came whole.

        Raises:
            Outdated: the object is gone or has changed since it was listed.
        """

        def check(number: int, digits: str) -> None:
            if self.checksums.is_wrong(number, digits):
                self.transfer.progress.add(-self.ranges[number][1])
                raise Damaged("a part does not have its checksum")
            arrived(number, digits)

        with suppress(JobFailed):  # `read` tries again what did not come, and says what is wrong
            self._ask(numbers, descriptor, check, attempts=1)

    def read(self, number: int, descriptor: int) -> str:
        """Write a range, by its number from 0, to its place in an open file; returns its sum.

        Raises:
            Outdated: the object is gone or has changed since it was listed.
            ChecksumMismatch: what comes has a wrong sum again and again.
        """
        found: dict[int, str] = {}
        for _ in range(ATTEMPTS):
            self._ask(range(number, number + 1), descriptor, found.__setitem__)
            if not self.checksums.is_wrong(number, found[number]):
                return found[number]
            self.transfer.progress.add(-self.ranges[number][1])
        raise self._why_wrong()

    def tag_of(self, found: list[str], file: Path) -> str:
        """The content tag of the whole file, whose ranges have the sums `found`.

        Raises:
            Outdated: the object has changed since it was listed.
            ChecksumMismatch: the file has not the object's content.
        """
        if self.checksums.right:
            return self.wanted.tag
        tag = etags.combined([bytes.fromhex(digits) for digits in found])
        right = tag == self.wanted.tag if self.wanted.tag else etags.verdict(file, self.wanted.etag)
        if right is False:
            raise self._why_wrong()
        return tag

    def _ask(
        self, numbers: range, descriptor: int, arrived: PartArrived, attempts: int = ATTEMPTS
    ) -> None:
        asked = [self.ranges[number] for number in numbers]
        byte_range = (asked[0][0], sum(length for _, length in asked))

        def receive(response: Body) -> None:
            if not _may_be(self.wanted, response.etag):
                raise Outdated(self.path)
            for number in numbers:
                is_last = number == numbers[-1]
                arrived(number, self._write(descriptor, self.ranges[number], response, is_last))

        answer = self.transfer.bucket.get(
            self.path,
            receive,
            byte_range if len(self.ranges) > 1 else None,
            self.wanted.etag,
            attempts,
        )
        if answer.status in (404, PRECONDITION_FAILED):
            raise Outdated(self.path)

    def _write(
        self, descriptor: int, byte_range: tuple[int, int], response: Body, is_last: bool
    ) -> str:
        progress, total, (offset, left) = self.transfer.progress, self.checksums.new(), byte_range
        try:
            with self.transfer.chunk() as chunk:
                while left and (count := response.readinto(chunk[:left])):
                    total.update(chunk[:count])
                    _write(descriptor, chunk[:count], offset)
                    progress.add(count)
                    offset, left = offset + count, left - count
                if left:
                    raise Damaged(f"{byte_range[1] - left} of {byte_range[1]} bytes came")
                if is_last and response.readinto(chunk):
                    raise Damaged("more bytes came than were asked for")
        except BaseException:
            progress.add(left - byte_range[1])
            raise
        return str(total.hexdigest())

    def _why_wrong(self) -> Exception:
        """Look whether the object is still the one that was listed."""
        present = self.transfer.bucket.head(self.path)
        # Time does not tell here: another object may stand there since the same second.
        if present is None or present.etag != self.wanted.etag:
            return Outdated(self.path)
        return ChecksumMismatch(
            f"the download does not have its checksum: `{self.transfer.bucket.url(self.path)}`",
            hint="run the same command again; if it stays so, the object is damaged in the store",
        )


def _may_be(wanted: RemoteObject, etag: str) -> bool:
    """Whether an answer with this ETag is of the object; some stores rewrite that of parts."""
    rewritten = "-" in wanted.etag and "-" not in etag
    return etag in ("", wanted.etag) or rewritten


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data`; a disk that is nearly full takes only a part of it at first."""
    try:
        while data:
            count = os.pwrite(descriptor, data, offset)
            data, offset = data[count:], offset + count
    except OSError as error:
        raise from_os_error(error, "writing what was downloaded") from error
