"""The objects of one scene in one bucket, through boto3: the way through a proxy."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from maquette.errors import CredentialsError
from maquette.storage.bodies import Listed, Page
from maquette.storage.boto3_connection import Boto3Connection
from maquette.storage.checksums import read_checked, require_same
from maquette.storage.connection import Damaged
from maquette.storage.error_responses import ErrorResponse, translate
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

_CONDITIONS = {"if-match": "IfMatch", "if-none-match": "IfNoneMatch"}
_SERVED = {
    "content-type": "ContentType", "cache-control": "CacheControl", "x-amz-acl": "ACL",
    "content-encoding": "ContentEncoding",
}  # fmt: skip
_NO_RULES = (400, 403, 404, 405, 409, NOT_IMPLEMENTED)  # none yet, or none to be had
_TAKEN = ("BucketAlreadyExists", "BucketAlreadyOwnedByYou")
_NO_UPLOAD = (404, NOT_IMPLEMENTED)


@dataclass
class Boto3Store:
    """An `ObjectStore` over `connection`."""

    connection: Boto3Connection
    name: str
    prefix: str

    @property
    def location(self) -> StoreLocation:
        """Where the store answers."""
        return self.connection.location

    @property
    def stop(self) -> threading.Event:
        """Ends waiting and retrying in every thread."""
        return self.connection.stop

    @property
    def round_trip_s(self) -> float:
        """How long the first answer took; 0 before it."""
        return self.connection.round_trip_s

    def at(self, name: str, prefix: str) -> Boto3Store:
        """Another bucket or prefix of the same store."""
        return Boto3Store(self.connection, name, prefix)

    def key(self, path: str) -> str:
        """The full key of a path; of "" the prefix itself, which ends in a slash."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str = "") -> str:
        """How a person writes the object's place."""
        return f"s3://{self.name}/{self.key(path)}"

    def objects(self, guesses: Iterable[str] = ()) -> dict[str, RemoteObject] | None:
        """List every object below the prefix by its path; None when there is no such bucket."""
        return objects_below(self.key(""), self._page, guesses)

    def head(self, path: str) -> RemoteObject | None:
        """Look at one object; None when there is none."""
        answer = self._ask("head_object", "looking at", path, fine=(404,))
        if answer.status == 404:
            return None
        size, told = int(answer.body["ContentLength"]), answer.body.get("Metadata", {})
        tag = told.get(TAG_NAME) or (answer.etag if is_tag_of(answer.etag, size) else "")
        return RemoteObject(size, answer.etag, tag, int(answer.body["LastModified"].timestamp()))

    def get(
        self,
        path: str,
        reader: Reader,
        byte_range: tuple[int, int] | None = None,
        etag: str = "",
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Read an object, or a range (offset, length in bytes) of it, through `reader`."""
        wanted = {"IfMatch": f'"{etag}"'} if etag else {}
        if byte_range is not None:
            wanted["Range"] = f"bytes={byte_range[0]}-{byte_range[0] + byte_range[1] - 1}"
        fine = (404, PRECONDITION_FAILED)
        return self._read(path, reader, wanted, fine, attempts)

    def get_if_changed(self, path: str, etag: str) -> Answer:
        """Read a small object unless it still has `etag` (status 304); 404 when there is none."""
        wanted = {"IfNoneMatch": f'"{etag}"'} if etag else {}
        return self._read(path, read_checked, wanted, (304, 404), attempts=4)

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
        return self._ask(
            "put_object",
            "writing",
            path,
            {
                "Body": data,
                "ContentMD5": base64.b64encode(digest).decode(),
                "Metadata": {TAG_NAME: tag},
                **{_CONDITIONS[name]: value for name, value in condition.items()},
                **{_SERVED[name]: value for name, value in served.items()},
            },
            check=lambda answer: require_same(digest, answer.headers),
            fine=(PRECONDITION_FAILED, NOT_IMPLEMENTED) if condition else (),
        )

    def delete(self, path: str, attempts: int = ATTEMPTS) -> None:
        """Remove an object; fine if it is gone."""
        self._ask("delete_object", "removing", path, fine=(404,), attempts=attempts)

    def start_upload(self, path: str) -> str:
        """Begin an upload in parts and return its id."""
        begun = self._ask("create_multipart_upload", "changing", path, check=_has("UploadId"))
        return str(begun.body["UploadId"])

    def put_part(
        self, path: str, upload_id: str, number: int, data: memoryview, digest: bytes
    ) -> None:
        """Write one part of an upload, compared with its MD5 on both sides."""
        self._ask(
            "upload_part",
            "writing",
            path,
            {
                "UploadId": upload_id,
                "PartNumber": number,
                "Body": bytes(data),
                "ContentMD5": base64.b64encode(digest).decode(),
            },
            check=lambda answer: require_same(digest, answer.headers),
        )

    def finished_parts(self, path: str, upload_id: str) -> dict[int, Part] | None:
        """The parts that an interrupted upload has in the store; None when it is unknown there."""
        parts: dict[int, Part] = {}
        after = 0
        while True:
            wanted = {"UploadId": upload_id, "PartNumberMarker": after}
            answer = self._ask(
                "list_parts", "looking at", path, wanted, check=_has("UploadId"), fine=_NO_UPLOAD
            )
            if answer.status in _NO_UPLOAD:
                return None
            for item in answer.body.get("Parts", ()):
                number = item["PartNumber"]
                parts[number] = Part(number, item["ETag"].strip('"'), item["Size"])
            if not answer.body.get("IsTruncated"):
                return parts
            after = answer.body["NextPartNumberMarker"]

    def complete_upload(
        self, path: str, upload_id: str, parts: list[Part], tag: str, is_ours: Callable[[str], bool]
    ) -> RemoteObject:
        """Make the object out of its parts; fine if a request whose answer was lost did it."""
        items = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        answer = self._ask(
            "complete_multipart_upload",
            "changing",
            path,
            {"UploadId": upload_id, "MultipartUpload": {"Parts": items}},
            check=_has("ETag"),
            fine=(404,),
        )
        if answer.status == 404:
            present = self.head(path)
            if present is None or not (present.etag == tag or is_ours(present.etag)):
                raise translate(answer.body, f"writing `{self.url(path)}`")
            return replace(present, tag=tag)
        done = parsedate_to_datetime(answer.headers["date"])
        size = sum(part.size for part in parts)
        return RemoteObject(size, answer.body["ETag"].strip('"'), tag, int(done.timestamp()))

    def abort_upload(self, path: str, upload_id: str) -> None:
        """Drop an upload and its parts; fine if it is unknown."""
        wanted = {"UploadId": upload_id}
        self._ask("abort_multipart_upload", "removing", path, wanted, fine=(404,))

    def ensure(self) -> None:
        """Make the bucket, private to its owner, unless it is there.

        Raises:
            MaquetteError: the name is taken, or this key may not make buckets.
        """
        if self._is_there(fine=(404,)):
            return
        region = self.location.region
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        options = where if region != "us-east-1" else {}
        answer = self._ask("create_bucket", "making", None, options, fine=(403, 409))
        if answer.status < 300:
            return
        refusal: ErrorResponse = answer.body
        if refusal.code == "AccessDenied":
            raise CredentialsError(
                f"there is no bucket `{self.name}`, and this key may not make one",
                detail=f"the store says: {refusal.message}",
                hint="ask its owner to make it, or set BUCKET_NAME= to one that is there",
            )
        # Taken by somebody else, unless we made it elsewhere just now.
        if refusal.code not in _TAKEN or not self._is_there(fine=(403, 404)):
            raise translate(refusal, f"making `s3://{self.name}/`")

    def address_to_read(self, path: str, lifetime_s: int, content_type: str = "") -> str:
        """An address under which anybody may read an object for a while; a secret therefore."""
        wanted = {"Bucket": self.name, "Key": self.key(path)}
        wanted |= {"ResponseContentType": content_type} if content_type else {}
        sign = self.connection.client.generate_presigned_url
        return str(sign("get_object", Params=wanted, ExpiresIn=lifetime_s))

    def page_rules(self) -> list[dict[str, Any]] | None:
        """The bucket's CORS rules; None where the store has none."""
        answer = self._ask("get_bucket_cors", "looking at", None, fine=_NO_RULES, attempts=1)
        if answer.status in _NO_RULES:
            return [] if answer.body.code == "NoSuchCORSConfiguration" else None
        return list(answer.body.get("CORSRules", ()))

    def set_page_rules(self, rules: list[dict[str, Any]]) -> bool:
        """Replace the bucket's CORS rules, or drop them; False where that is not to be had."""
        method = "put_bucket_cors" if rules else "delete_bucket_cors"
        words = {"CORSConfiguration": {"CORSRules": rules}} if rules else {}
        answer = self._ask(method, "changing", None, words, fine=_NO_RULES, attempts=1)
        return answer.status < 300

    def cut(self) -> None:
        """Make every request fail for good, those under way too."""
        self.connection.cut()

    def close(self) -> None:
        """Close the kept connections."""
        self.connection.close()

    def _is_there(self, fine: tuple[int, ...]) -> bool:
        # HEAD would not tell why it is refused.
        few = {"MaxKeys": 1}
        return self._ask("list_objects_v2", "listing", None, few, fine=fine).status not in fine

    def _page(self, start_after: str, token: str) -> Page | None:
        wanted = {"Prefix": self.key("")}
        if token or start_after:
            wanted |= {"ContinuationToken": token} if token else {"StartAfter": start_after}
        answer = self._ask(
            "list_objects_v2", "listing", None, wanted, check=_has("Name"), fine=(404,)
        )
        if answer.status == 404:
            return None
        items = tuple(_listed(item) for item in answer.body.get("Contents", ()))
        token = answer.body.get("NextContinuationToken", "")
        return Page(items, token, bool(answer.body.get("IsTruncated")))

    def _ask(
        self,
        method: str,
        doing: str,
        path: str | None,
        words: Mapping[str, Any] | None = None,
        *,
        check: Callable[[Answer], None] = lambda answer: None,
        fine: tuple[int, ...] = (),
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Call a method of boto3's client on an object, or on the bucket without a path."""
        named = {"Bucket": self.name, **({} if path is None else {"Key": self.key(path)})}
        named |= words or {}

        def call() -> Answer:
            said = getattr(self.connection.client, method)(**named)
            answer = _answer(said, said)
            check(answer)
            return answer

        where = f"s3://{self.name}/" if path is None else self.url(path)
        return self.connection.request(f"{doing} `{where}`", call, fine=fine, attempts=attempts)

    def _read(
        self,
        path: str,
        reader: Reader,
        wanted: dict[str, str],
        fine: tuple[int, ...],
        attempts: int,
    ) -> Answer:
        def call() -> Answer:
            said = self.connection.client.get_object(Bucket=self.name, Key=self.key(path), **wanted)
            with closing(said["Body"]) as stream:
                return _answer(said, reader(_Body(stream, _answer(said))))

        doing = f"reading `{self.url(path)}`"
        return self.connection.request(doing, call, fine=fine, attempts=attempts)


class _Body:
    """The body of an answer, with the face that readers know."""

    def __init__(self, stream: Any, answer: Answer) -> None:
        self._stream = stream
        self.headers = answer.headers
        self.etag = answer.etag

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; less only at the end of the body, 0 after it."""
        done = 0
        while done < len(buffer) and (count := self._stream.readinto(buffer[done:])):
            done += count
        return done

    def read(self) -> bytes:
        """Read the rest."""
        return bytes(self._stream.read())


def _answer(said: dict[str, Any], body: Any = b"") -> Answer:
    meta = said["ResponseMetadata"]
    return Answer(meta["HTTPStatusCode"], meta["HTTPHeaders"], body)


def _has(name: str) -> Callable[[Answer], None]:
    """A check that an answer tells this at least; botocore takes nothing at all for an answer."""

    def check(answer: Answer) -> None:
        if not answer.body.get(name):
            raise Damaged(f"an answer without {name}")

    return check


def _listed(item: dict[str, Any]) -> Listed:
    modified = int(item["LastModified"].timestamp())
    return Listed(item["Key"], item["Size"], item.get("ETag", "").strip('"'), modified)
