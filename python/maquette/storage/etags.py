"""Content tags: the ETag that S3 gives a file uploaded by our rule for parts.

A file of up to `PART_BYTES` has the MD5 of its bytes, a larger one the MD5 of its parts' MD5s
and their number. So a store's listing tells content without a download. MD5 finds faults and
changes here; it is no protection against forgery, which the signature is for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PART_BYTES = 8 << 20
MOST_PARTS = 10_000
_CHUNK_BYTES = 1 << 20
_FOREIGN_PARTS_MIB = (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)


def new_md5() -> Any:
    """An MD5 that also starts where only approved algorithms guard secrets."""
    return hashlib.md5(usedforsecurity=False)


def part_size(size: int) -> int:
    """The size of parts (bytes) by which a file of `size` bytes is uploaded."""
    part = PART_BYTES
    while part * MOST_PARTS < size:
        part *= 2
    return part


def parts_of(size: int, part: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length (bytes) of each part; an empty file has one, empty."""
    for offset in range(0, max(size, 1), part):
        yield offset, min(part, size - offset)


def combined(digests: Sequence[bytes]) -> str:
    """The tag of a file from the MD5s of its parts."""
    if len(digests) == 1:
        return digests[0].hex()
    whole = new_md5()
    whole.update(b"".join(digests))
    return f"{whole.hexdigest()}-{len(digests)}"


def content_tag(path: Path) -> str:
    """The tag of a file, read in small pieces."""
    size = path.stat().st_size
    return tag_in_parts(path, size, part_size(size))


def tag_in_parts(path: Path, size: int, part: int) -> str:
    """The tag that a file would have when uploaded in parts of `part` bytes."""
    with open(path, "rb") as file:
        return combined([_digest(file.fileno(), *piece) for piece in parts_of(size, part)])


def _digest(descriptor: int, offset: int, length: int) -> bytes:
    """The MD5 of a range of an open file."""
    total = new_md5()
    add_range(total, descriptor, offset, length)
    return bytes(total.digest())


def add_range(total: Any, descriptor: int, offset: int, length: int) -> None:
    """Go on with a sum over a range (bytes) of an open file, read in small pieces."""
    end = offset + length
    while offset < end and (chunk := os.pread(descriptor, min(_CHUNK_BYTES, end - offset), offset)):
        total.update(chunk)
        offset += len(chunk)


def is_tag_of(etag: str, size: int) -> bool:
    """Whether a store's ETag is the content tag itself: same rule, same number of parts."""
    count = -(-size // part_size(size)) if size else 1
    hexadecimal, _, parts = etag.partition("-")
    return len(hexadecimal) == 32 and parts == (str(count) if count > 1 else "")


def verdict(path: Path, etag: str) -> bool | None:
    """Whether a file has the content of an object that another program uploaded.

    Returns:
        None when the ETag does not tell: unusual parts, or an encrypting store's own tag.
    """
    size = path.stat().st_size
    hexadecimal, _, count = etag.partition("-")
    if len(hexadecimal) != 32:
        return None
    if not count:
        return tag_in_parts(path, size, max(size, 1)) == etag
    sizes = {part_size(size), *(mib << 20 for mib in _FOREIGN_PARTS_MIB)}
    fitting = [part for part in sorted(sizes) if count == str(-(-size // part))]
    return True if any(tag_in_parts(path, size, part) == etag for part in fitting) else None
