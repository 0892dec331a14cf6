"""What moving a scene asks of an S3 store; all else in this folder knows no other way to one.

`WireStore` answers it over our own connections, `Boto3Store` through boto3 where a proxy stands in
the way; `opening.open_store` chooses. See docs/decisions/0003-storage.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from maquette.addresses import address_parts
from maquette.errors import ConfigError

ATTEMPTS = 8
PRECONDITION_FAILED = 412
NOT_IMPLEMENTED = 501
TAG_NAME = "maquette-tag"  # the one piece of metadata that our objects have
NOTHING: Mapping[str, str] = {}


class Stopped(Exception):
    """The whole transfer ends, so this request is not begun or repeated."""


@dataclass(frozen=True)
class StoreLocation:
    """Where a store answers.

    Args:
        host_style: Buckets are host names, not part of the path.
        identity: What stays the same when the endpoint moves; empty: the endpoint.
        is_ours_alone: No other program writes there, so our manifest tells everything.

    Raises:
        ConfigError: the endpoint is no http(s) address.
    """

    endpoint: str
    region: str = "us-east-1"
    host_style: bool = False
    identity: str = ""
    is_ours_alone: bool = False

    def __post_init__(self) -> None:
        parts = address_parts(self.endpoint, "the endpoint of the data store")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ConfigError(
                f"not an endpoint: `{parts.scheme}://{parts.netloc.rpartition('@')[2]}`",
                hint="an endpoint looks like https://s3.gra.io.cloud.ovh.net",
            )


@dataclass(frozen=True)
class RemoteObject:
    """An object as the store knows it.

    Args:
        tag: Content tag, see `etags`; empty when neither ETag nor metadata give it.
        modified_s: The store's time of the last change, Unix seconds; 0 where it is not known.
        crcs: CRC-32 of each part, eight hexadecimal digits each; empty where they are not known.
    """

    size: int
    etag: str
    tag: str = ""
    modified_s: int = 0
    crcs: str = ""

    def is_still(self, present: RemoteObject) -> bool:
        """Whether an object that was this is unchanged.

        Some stores show a large object's ETag first by its parts and later as a whole; then
        size and time decide.
        """
        if self.etag == present.etag:
            return True
        rewritten = "-" in self.etag and "-" not in present.etag and self.size == present.size
        return rewritten and 0 < present.modified_s <= self.modified_s


@dataclass(frozen=True)
class Part:
    """A finished part of an upload: number from 1, ETag, length in bytes.

    Args:
        crc: CRC-32 of what was read for it, eight hexadecimal digits.
    """

    number: int
    etag: str
    size: int
    crc: str = ""


class Body(Protocol):
    """What follows the head of an answer, and the ETag that the head gave."""

    @property
    def etag(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; less only at the end of the body, 0 after it."""

    def read(self) -> bytes:
        """Read the rest."""


Reader = Callable[[Body], Any]


@dataclass(frozen=True)
class Answer:
    """A store's answer; `body` is what the reader made of it, headers have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: Any = b""

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "").strip('"')


class ObjectStore(Protocol):
    """The objects below `prefix/` of a bucket; paths are relative to it. Threads may share it.

    Each call is repeated while it may help, and raises a MaquetteError when the store refuses or
    does not answer, or Stopped once `stop` is set or `cut` was called.
    """

    name: str
    prefix: str

    @property
    def location(self) -> StoreLocation: ...

    @property
    def stop(self) -> threading.Event:
        """Set it to end waiting and retrying in every thread."""

    @property
    def round_trip_s(self) -> float:
        """How long the first answer took; 0 before it."""

    def at(self, name: str, prefix: str) -> ObjectStore:
        """Another bucket or prefix of the same store, over the same connections."""

    def key(self, path: str) -> str:
        """The full key of a path; of "" the prefix itself, which ends in a slash."""

    def url(self, path: str = "") -> str:
        """How a person writes the object's place."""

    def objects(self, guesses: Iterable[str] = ()) -> dict[str, RemoteObject] | None:
        """List every object by its path; None when there is no such bucket.

        Args:
            guesses: Paths that may be there; they let a long listing be read in several places.
        """

    def head(self, path: str) -> RemoteObject | None:
        """Look at one object; None when there is none."""

    def get(
        self,
        path: str,
        reader: Reader,
        byte_range: tuple[int, int] | None = None,
        etag: str = "",
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Read an object, or a range (offset, length in bytes) of it; 404 when there is none.

        Args:
            reader: Called anew for each attempt; may raise `connection.Damaged` for another.
            etag: The store answers 412 when the object has another one; not every store knows.
        """

    def get_if_changed(self, path: str, etag: str) -> Answer:
        """Read a small object unless it still has `etag` (status 304); 404 when there is none."""

    def put(
        self,
        path: str,
        data: bytes,
        digest: bytes,
        tag: str,
        condition: dict[str, str],
        served: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Write an object whole; the store checks it against its MD5.

        Args:
            digest: MD5 of `data`.
            condition: `if-match` or `if-none-match`; a store answers 412 or 501 to it.
            served: Headers that browsers get with it, `content-type`, `cache-control` and
                `content-encoding`, and who may read it, `x-amz-acl`.
        """

    def delete(self, path: str, attempts: int = ATTEMPTS) -> None:
        """Remove an object; fine if it is gone."""

    def start_upload(self, path: str) -> str:
        """Begin an upload in parts and return its id."""

    def put_part(
        self, path: str, upload_id: str, number: int, data: memoryview, digest: bytes
    ) -> None:
        """Write one part of an upload; the store checks it against its MD5."""

    def finished_parts(self, path: str, upload_id: str) -> dict[int, Part] | None:
        """The parts that an interrupted upload has in the store; None when it is unknown there."""

    def complete_upload(
        self, path: str, upload_id: str, parts: list[Part], tag: str, is_ours: Callable[[str], bool]
    ) -> RemoteObject:
        """Make the object out of its parts; fine if a request whose answer was lost did it.

        Args:
            is_ours: Whether an ETag is of the file that was uploaded; asked only then.
        """

    def abort_upload(self, path: str, upload_id: str) -> None:
        """Drop an upload and its parts; fine if it is unknown."""

    def ensure(self) -> None:
        """Make the bucket, private to its owner, unless it is there.

        Raises:
            MaquetteError: the name is taken, or this key may not make buckets.
        """

    def address_to_read(self, path: str, lifetime_s: int, content_type: str = "") -> str:
        """An address under which anybody may read an object for a while; a secret therefore.

        Args:
            content_type: That the answer is to have, whatever the object was written with.
        """

    def page_rules(self) -> list[dict[str, Any]] | None:
        """The bucket's CORS rules, as S3 names their parts; None where the store has none."""

    def set_page_rules(self, rules: list[dict[str, Any]]) -> bool:
        """Replace the bucket's CORS rules, or drop them; False where that is not to be had."""

    def cut(self) -> None:
        """Make every request fail for good, those under way too; returns when none is left.

        What was being written may be in the store or not.
        """

    def close(self) -> None:
        """Close the kept connections."""
