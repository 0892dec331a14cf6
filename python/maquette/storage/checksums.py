"""What the bytes of a download are compared with, range by range as they arrive.

Where the manifest has the CRC-32 of each part, each is checked by itself, in a small part of the
time that MD5 takes. Else MD5: at once where the tag is that of one part, at the end where it is of
many. Which content is which is decided by tags alone, see `etags`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from maquette.storage.connection import Damaged
from maquette.storage.etags import new_md5
from maquette.storage.object_store import Body, RemoteObject

_DIGITS = 8
_CHUNK_BYTES = 1 << 18  # stays in the processor's cache for the second sum


class Crc32:
    """A running CRC-32 with the face of hashlib's sums."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        """Go on with more bytes."""
        self._value = isal_zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """The sum so far, eight digits."""
        return f"{self._value:0{_DIGITS}x}"


@dataclass(frozen=True)
class PartChecksums:
    """How the ranges of one object are checked.

    Args:
        new: Begins a sum.
        right: The checksum of each range; empty where only all of them together can tell.
    """

    new: Callable[[], Any]
    right: tuple[str, ...]

    def is_wrong(self, number: int, found: str) -> bool:
        """Whether the range of this number, from 0, has another checksum than it should."""
        return bool(self.right) and self.right[number] != found


def checksums_of(wanted: RemoteObject, count: int) -> PartChecksums:
    """Choose how to check an object of `count` ranges, by what is known of it."""
    if wanted.tag and len(wanted.crcs) == count * _DIGITS:
        starts = range(0, len(wanted.crcs), _DIGITS)
        return PartChecksums(Crc32, tuple(wanted.crcs[start : start + _DIGITS] for start in starts))
    return PartChecksums(new_md5, (wanted.tag,) if wanted.tag and count == 1 else ())


def md5_and_crc32(data: bytes | memoryview) -> tuple[Any, Crc32]:
    """The MD5 and the CRC-32 of what is in memory, in one pass."""
    md5, crc, view = new_md5(), Crc32(), memoryview(data)
    for start in range(0, len(view), _CHUNK_BYTES):
        piece = view[start : start + _CHUNK_BYTES]
        md5.update(piece)
        crc.update(piece)
    return md5, crc


def require_same(digest: bytes, headers: Mapping[str, str]) -> None:
    """Compare what a store says it was given, by its ETag, with the MD5 of what was sent.

    Raises:
        Damaged: it has something else.
    """
    etag = headers.get("etag", "").strip('"')
    if not _encrypts(headers) and etag != digest.hex():
        raise Damaged(f"the store has another checksum: {etag}")


def read_checked(body: Body) -> bytes:
    """Read an object and compare it with its ETag, unless it was put together out of parts.

    Raises:
        Damaged: it differs.
    """
    content, md5 = body.read(), new_md5()
    md5.update(content)
    is_whole = len(body.etag) == len(md5.hexdigest())
    if is_whole and not _encrypts(body.headers) and body.etag != md5.hexdigest():
        raise Damaged("the checksum differs")
    return content


def _encrypts(headers: Mapping[str, str]) -> bool:
    """Whether the store has keys of its own, and so another ETag; it compared Content-MD5."""
    return headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
