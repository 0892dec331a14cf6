"""The objects of one scene in one bucket: the S3 calls that moving a scene needs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from typing import Any

from maquette.errors import CredentialsError, JobFailed
from maquette.storage.answers import Refusal, explain
from maquette.storage.bodies import (
    Page,
    completion,
    read_completed_etag,
    read_page,
    read_upload_id,
)
from maquette.storage.connection import Damaged, Response
from maquette.storage.etags import is_tag_of, new_md5
from maquette.storage.listing import listed
from maquette.storage.wire import ATTEMPTS, Answer, Reader, Wire

TAG_HEADER = "x-amz-meta-maquette-tag"
PRECONDITION_FAILED = 412
NOT_IMPLEMENTED = 501
_NO_UPLOADS = ("NoSuchUpload", "NoSuchBucket", "NotImplemented", "404")


@dataclass(frozen=True)
class Remote:
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

    def is_still(self, present: Remote) -> bool:
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


@dataclass
class Bucket:
    """Objects below `prefix/` of a bucket; paths are relative to it."""

    wire: Wire
    name: str
    prefix: str

    def key(self, path: str) -> str:
        """The full key of a path; of "" the prefix itself, which ends in a slash."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str = "") -> str:
        """How a person writes the object's place."""
        return f"s3://{self.name}/{self.key(path)}"

    # Frequent calls, over the wire.

    def put(
        self, path: str, data: bytes, digest: bytes, tag: str, condition: dict[str, str]
    ) -> Answer:
        """Write an object whole; the store checks it against its MD5.

        Args:
            digest: MD5 of `data`.
            condition: If-Match or If-None-Match; a store answers 412 or 501 to it.
        """
        headers = {"content-md5": base64.b64encode(digest).decode(), TAG_HEADER: tag, **condition}
        fine = (PRECONDITION_FAILED, NOT_IMPLEMENTED) if condition else ()
        return self.wire.request(
            "PUT",
            self.name,
            self.key(path),
            headers=headers,
            body=data,
            reader=partial(_checked, digest),
            fine=fine,
        )

    def put_part(
        self, path: str, upload_id: str, number: int, data: memoryview, digest: bytes
    ) -> None:
        """Write one part of an upload; the store checks it against its MD5."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        headers = {"content-md5": base64.b64encode(digest).decode()}
        self.wire.request(
            "PUT",
            self.name,
            self.key(path),
            query=query,
            headers=headers,
            body=data,
            reader=partial(_checked, digest),
            timeout_s=self.wire.patience_s,
        )

    def get(
        self,
        path: str,
        reader: Reader,
        stretch: tuple[int, int] | None = None,
        etag: str = "",
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Read an object, or a stretch (offset, length in bytes) of it, through `reader`.

        Args:
            etag: The store answers 412 when the object has another one; not every store knows.
        """
        headers = {"if-match": f'"{etag}"'} if etag else {}
        if stretch is not None:
            headers["range"] = f"bytes={stretch[0]}-{stretch[0] + stretch[1] - 1}"
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
            reader=_read_checked,
            fine=(304, 404),
            attempts=4,
        )

    def head(self, path: str) -> Remote | None:
        """Look at one object; None when there is none."""
        answer = self.wire.request("HEAD", self.name, self.key(path), fine=(404,))
        if answer.status == 404:
            return None
        size = int(answer.headers.get("content-length", 0))
        tag = answer.headers.get(TAG_HEADER) or (
            answer.etag if is_tag_of(answer.etag, size) else ""
        )
        modified = parsedate_to_datetime(answer.headers["last-modified"])
        return Remote(size, answer.etag, tag, int(modified.timestamp()))

    def delete(self, path: str) -> None:
        """Remove an object; fine if it is gone."""
        self.wire.request("DELETE", self.name, self.key(path), fine=(404,))

    def objects(self, guesses: Iterable[str] = ()) -> dict[str, Remote] | None:
        """List every object below the prefix by its path.

        Args:
            guesses: Paths that may be there; they let a long listing be read in several places.

        Returns:
            None when there is no such bucket.
        """
        start = len(self.key(""))
        found = listed(self._page, map(self.key, guesses))
        if found is None:
            return None
        objects = {
            item.key[start:]: Remote(
                item.size,
                item.etag,
                item.etag if is_tag_of(item.etag, item.size) else "",
                item.modified_s,
            )
            for item in found
        }
        return {path: item for path, item in objects.items() if path and not path.endswith("/")}

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

    def complete_upload(
        self, path: str, upload_id: str, parts: list[Part], tag: str, is_ours: Callable[[str], bool]
    ) -> Remote:
        """Make the object out of its parts; fine if a request whose answer was lost did it.

        Args:
            is_ours: Whether an ETag is of the file that was uploaded; asked only then.
        """
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
                raise explain(answer.body, f"writing `{self.url(path)}`")
            return replace(present, tag=tag)
        done = parsedate_to_datetime(answer.headers["date"])
        size = sum(part.size for part in parts)
        return Remote(size, answer.body, tag, int(done.timestamp()))

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
        """Make the bucket, private to its owner, unless it is there.

        Raises:
            MaquetteError: the name is taken, or this key may not make buckets.
        """
        if self._is_there(fine=(404,)):
            return
        region = self.wire.place.region
        options: dict[str, Any] = {}
        if region != "us-east-1":
            options["CreateBucketConfiguration"] = {"LocationConstraint": region}
        known = suppress(self._client.exceptions.BucketAlreadyOwnedByYou)
        with self._explained("making"), known:
            try:
                self._client.create_bucket(Bucket=self.name, **options)
            except self._client.exceptions.BucketAlreadyExists:
                if not self._is_there(fine=(403, 404)):  # else we made it elsewhere just now
                    raise
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "AccessDenied":
                    raise
                raise CredentialsError(
                    f"there is no bucket `{self.name}`, and this key may not make one",
                    detail=f"the store says: {error.response['Error'].get('Message', '')}",
                    hint="ask its owner to make it, or set BUCKET_NAME= to one that is there",
                ) from None

    def _is_there(self, fine: tuple[int, ...]) -> bool:
        few = {"list-type": "2", "max-keys": "1"}  # HEAD would not tell why it is refused
        return self.wire.request("GET", self.name, query=few, fine=fine).status not in fine

    def finished_parts(self, path: str, upload_id: str) -> dict[int, Part] | None:
        """The parts that an interrupted upload has in the store; None when it is unknown there."""
        with self._explained("looking at", path):
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self.name, Key=self.key(path), UploadId=upload_id
            )
            try:
                items = [item for page in pages for item in page.get("Parts", ())]
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _NO_UPLOADS:
                    return None
                raise
        parts = [Part(item["PartNumber"], item["ETag"].strip('"'), item["Size"]) for item in items]
        return {part.number: part for part in parts}

    def abort_upload(self, path: str, upload_id: str) -> None:
        """Drop an upload and its parts; fine if it is unknown."""
        unknown = suppress(self._client.exceptions.NoSuchUpload)
        with self._explained("removing", path), unknown:
            self._client.abort_multipart_upload(
                Bucket=self.name, Key=self.key(path), UploadId=upload_id
            )

    @cached_property
    def _client(self) -> Any:
        """A boto3 client that reads no file and no variable: all it needs is given here."""
        import boto3
        import botocore.session
        from botocore.config import Config

        place, keys = self.wire.place, self.wire.credentials
        nothing = {"profile": (None, None, None, None), "config_file": (None, None, "", None)}
        session = boto3.session.Session(
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token or None,
            region_name=place.region,
            botocore_session=botocore.session.Session(session_vars=nothing),
        )
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual" if place.host_style else "path"},
            retries={"mode": "standard", "max_attempts": 6},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        )
        return session.client("s3", endpoint_url=place.endpoint, config=config)

    @contextmanager
    def _explained(self, doing: str, path: str = "") -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        place = self.url(path) if path else f"s3://{self.name}/"
        try:
            yield
        except ClientError as error:
            told, meta = error.response["Error"], error.response["ResponseMetadata"]
            refusal = Refusal(meta["HTTPStatusCode"], told["Code"], told.get("Message", ""))
            raise explain(refusal, f"{doing} `{place}`") from None
        except BotoCoreError as error:
            raise JobFailed(
                f"the store does not answer as it should, while {doing} `{place}`",
                detail=f"{self.wire.place.endpoint}: {type(error).__name__}",
                hint="check endpoint and network, then run the same command again: it continues",
            ) from None


def _checked(digest: bytes, response: Response) -> None:
    """Compare what the store says it has with what was sent; its ETag is the MD5 of the bytes."""
    response.read()
    if not _encrypts(response) and response.etag != digest.hex():
        raise Damaged(f"the store has another checksum: {response.etag}")


def _read_checked(response: Response) -> bytes:
    """Read an object and compare it with its ETag, unless it was put together out of parts."""
    content, md5 = response.read(), new_md5()
    md5.update(content)
    is_whole = len(response.etag) == len(md5.hexdigest())
    if is_whole and not _encrypts(response) and response.etag != md5.hexdigest():
        raise Damaged("the checksum differs")
    return content


def _encrypts(response: Response) -> bool:
    """Whether the store has keys of its own, and so another ETag; it compared Content-MD5."""
    return response.headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
