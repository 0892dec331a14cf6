"""The objects of one scene in one bucket, over our own connections."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from maquette.storage.bodies import (
    Page,
    completion,
    read_completed_etag,
    read_page,
    read_upload_id,
)
from maquette.storage.checksums import read_checked, require_same
from maquette.storage.connection import Response
from maquette.storage.error_responses import translate
from maquette.storage.etags import is_tag_of
from maquette.storage.listing import objects_below
from maquette.storage.object_store import (
    ATTEMPTS,
    NOT_IMPLEMENTED,
    NOTHING,
    PRECONDITION_FAILED,
    TAG_NAME,
    Answer,
    Part,
    Reader,
    RemoteObject,
    StoreLocation,
)
from maquette.storage.wire import Wire

if TYPE_CHECKING:
    from maquette.storage.boto3_connection import Boto3Connection
    from maquette.storage.boto3_store import Boto3Store

_TAG_HEADER = f"x-amz-meta-{TAG_NAME}"


@dataclass
class WireStore:
    """An `ObjectStore` whose frequent calls go over `wire`, and the rare ones through boto3."""

    wire: Wire
    name: str
    prefix: str
    _rarely: list[Boto3Connection] = field(default_factory=list, repr=False)

    @property
    def location(self) -> StoreLocation:
        """Where the store answers."""
        return self.wire.location

    @property
    def stop(self) -> threading.Event:
        """Ends waiting and retrying in every thread."""
        return self.wire.stop

    @property
    def round_trip_s(self) -> float:
        """How long the first answer took; 0 before it."""
        return self.wire.round_trip_s

    def at(self, name: str, prefix: str) -> WireStore:
        """Another bucket or prefix of the same store."""
        return WireStore(self.wire, name, prefix, self._rarely)

    def key(self, path: str) -> str:
        """The full key of a path; of "" the prefix itself, which ends in a slash."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str = "") -> str:
        """How a person writes the object's place."""
        return f"s3://{self.name}/{self.key(path)}"

    # Frequent calls, over the wire.

    def objects(self, guesses: Iterable[str] = ()) -> dict[str, RemoteObject] | None:
        """List every object below the prefix by its path; None when there is no such bucket."""
        return objects_below(self.key(""), self._page, guesses)

    def head(self, path: str) -> RemoteObject | None:
        """Look at one object; None when there is none."""
        answer = self.wire.request("HEAD", self.name, self.key(path), fine=(404,))
        if answer.status == 404:
            return None
        size = int(answer.headers.get("content-length", 0))
        tag = answer.headers.get(_TAG_HEADER) or (
            answer.etag if is_tag_of(answer.etag, size) else ""
        )
        modified = parsedate_to_datetime(answer.headers["last-modified"])
        return RemoteObject(size, answer.etag, tag, int(modified.timestamp()))

    def get(
        self,
        path: str,
        reader: Reader,
        byte_range: tuple[int, int] | None = None,
        etag: str = "",
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Read an object, or a range (offset, length in bytes) of it, through `reader`."""
        headers = {"if-match": f'"{etag}"'} if etag else {}
        if byte_range is not None:
            headers["range"] = f"bytes={byte_range[0]}-{byte_range[0] + byte_range[1] - 1}"
        return self.wire.request(
            "GET",
            self.name,
            self.key(path),
            headers=headers,
            reader=reader,
            fine=(404, PRECONDITION_FAILED),
            attempts=attempts,
        )

    def get_if_changed(self, path: str, etag: str) -> Answer:
        """Read a small object unless it still has `etag` (status 304); 404 when there is none."""
        headers = {"if-none-match": f'"{etag}"'} if etag else {}
        return self.wire.request(
            "GET",
            self.name,
            self.key(path),
            headers=headers,
            reader=read_checked,
            fine=(304, 404),
            attempts=4,
        )

    def put(
        self,
        path: str,
        data: bytes,
        digest: bytes,
        tag: str,
        condition: dict[str, str],
        served: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Write an object whole, compared with its MD5 on both sides."""
        headers = {"content-md5": base64.b64encode(digest).decode(), _TAG_HEADER: tag}
        headers |= {**condition, **served}
        return self.wire.request(
            "PUT",
            self.name,
            self.key(path),
            headers=headers,
            body=data,
            reader=partial(_checked, digest),
            fine=(PRECONDITION_FAILED, NOT_IMPLEMENTED) if condition else (),
        )

    def delete(self, path: str, attempts: int = ATTEMPTS) -> None:
        """Remove an object; fine if it is gone."""
        self.wire.request("DELETE", self.name, self.key(path), fine=(404,), attempts=attempts)

    def start_upload(self, path: str) -> str:
        """Begin an upload in parts and return its id."""
        answer = self.wire.request(
            "POST",
            self.name,
            self.key(path),
            query={"uploads": ""},
            reader=lambda response: read_upload_id(response.read()),
        )
        return str(answer.body)

    def put_part(
        self, path: str, upload_id: str, number: int, data: memoryview, digest: bytes
    ) -> None:
        """Write one part of an upload, compared with its MD5 on both sides."""
        self.wire.request(
            "PUT",
            self.name,
            self.key(path),
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={"content-md5": base64.b64encode(digest).decode()},
            body=data,
            reader=partial(_checked, digest),
            timeout_s=self.wire.patience_s,
        )

    def complete_upload(
        self, path: str, upload_id: str, parts: list[Part], tag: str, is_ours: Callable[[str], bool]
    ) -> RemoteObject:
        """Make the object out of its parts; fine if a request whose answer was lost did it."""
        answer = self.wire.request(
            "POST",
            self.name,
            self.key(path),
            query={"uploadId": upload_id},
            body=completion([part.etag for part in parts]),
            reader=lambda response: read_completed_etag(response.read()),
            fine=(404,),
            timeout_s=self.wire.patience_s,
        )
        if answer.status == 404:
            present = self.head(path)
            if present is None or not (present.etag == tag or is_ours(present.etag)):
                raise translate(answer.body, f"writing `{self.url(path)}`")
            return replace(present, tag=tag)
        done = parsedate_to_datetime(answer.headers["date"])
        size = sum(part.size for part in parts)
        return RemoteObject(size, answer.body, tag, int(done.timestamp()))

    def address_to_read(self, path: str, lifetime_s: int, content_type: str = "") -> str:
        """An address under which anybody may read an object for a while; a secret therefore."""
        return self.wire.address_to_read(self.name, self.key(path), lifetime_s, content_type)

    def _page(self, start_after: str, token: str) -> Page | None:
        query = {"list-type": "2", "prefix": self.key(""), "encoding-type": "url"}
        if token or start_after:
            query |= {"continuation-token": token} if token else {"start-after": start_after}
        answer = self.wire.request(
            "GET",
            self.name,
            query=query,
            reader=lambda response: read_page(response.read()),
            fine=(404,),
        )
        page: Page | None = None if answer.status == 404 else answer.body
        return page

    # Rare calls, through boto3.

    def ensure(self) -> None:
        """Make the bucket, private to its owner, unless it is there."""
        few = {"list-type": "2", "max-keys": "1"}  # HEAD would not tell why it is refused
        if self.wire.request("GET", self.name, query=few, fine=(404,)).status == 404:
            self._rare.ensure()

    def finished_parts(self, path: str, upload_id: str) -> dict[int, Part] | None:
        """The parts that an interrupted upload has in the store; None when it is unknown there."""
        return self._rare.finished_parts(path, upload_id)

    def abort_upload(self, path: str, upload_id: str) -> None:
        """Drop an upload and its parts; fine if it is unknown."""
        self._rare.abort_upload(path, upload_id)

    def page_rules(self) -> list[dict[str, Any]] | None:
        """The bucket's CORS rules; None where the store has none."""
        return self._rare.page_rules()

    def set_page_rules(self, rules: list[dict[str, Any]]) -> bool:
        """Replace the bucket's CORS rules, or drop them; False where that is not to be had."""
        return self._rare.set_page_rules(rules)

    @property
    def _rare(self) -> Boto3Store:
        from maquette.storage.boto3_connection import Boto3Connection
        from maquette.storage.boto3_store import Boto3Store

        if not self._rarely:
            wire = self.wire
            self._rarely.append(Boto3Connection(wire.location, wire.keys, stop=wire.stop))
        return Boto3Store(self._rarely[0], self.name, self.prefix)

    def cut(self) -> None:
        """Make every request fail for good, those under way too."""
        self.wire.cut()
        for connection in self._rarely:
            connection.cut()

    def close(self) -> None:
        """Close the kept connections."""
        self.wire.close()
        for connection in self._rarely:
            connection.close()


def _checked(digest: bytes, response: Response) -> None:
    response.read()
    require_same(digest, response.headers)
