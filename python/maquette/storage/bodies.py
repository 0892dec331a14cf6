"""The XML that a store answers with or expects; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from urllib.parse import unquote_plus
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from maquette.storage.connection import Damaged


@dataclass(frozen=True)
class Listed:
    """An object on a listing: full key, size in bytes, ETag, time of last change (Unix seconds)."""

    key: str
    size: int
    etag: str
    modified_s: int


@dataclass(frozen=True)
class Page:
    """One page of a listing; `token` asks for the next one, empty when there is none."""

    items: tuple[Listed, ...]
    token: str
    is_truncated: bool

    def follows(self, start: str) -> bool:
        """Whether the keys ascend, all of them after `start`; most stores promise it."""
        keys = [start, *(item.key for item in self.items)]
        return all(one < two for one, two in pairwise(keys))


def read_page(body: bytes) -> Page:
    """Read a page of ListObjectsV2.

    Raises:
        Damaged: this is no such page.
    """
    root = _parsed(body)
    encoded = _text(root, "EncodingType") == "url"
    items = tuple(_listed(item, encoded) for item in _children(root, "Contents"))
    token = _text(root, "NextContinuationToken")
    return Page(items, token, _text(root, "IsTruncated") == "true")


def read_upload_id(body: bytes) -> str:
    """Read the id of an upload that was begun.

    Raises:
        Damaged: there is none.
    """
    upload_id = _text(_parsed(body), "UploadId")
    if not upload_id:
        raise Damaged("an upload without an id")
    return upload_id


def completion(etags: list[str]) -> bytes:
    """Write what ends an upload: the ETags of its parts, from part 1 on."""
    parts = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{etag}"</ETag></Part>'
        for number, etag in enumerate(etags, start=1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def read_completed_etag(body: bytes) -> str:
    """Read the new object's ETag; a store may fail here although it began with "200 OK".

    Raises:
        Damaged: the store failed after all.
    """
    etag = _text(_parsed(body), "ETag").strip('"')
    if not etag:
        raise Damaged("an object without an ETag")
    return etag


def _parsed(body: bytes) -> Element:
    """Read a body; only an error's root is looked at, as stores name the others differently."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Damaged(f"the store's answer is no XML: {error}") from None
    if _name(root) == "Error":
        raise Damaged(f"the store failed after all: {_text(root, 'Code')}")
    return root


def _listed(item: Element, encoded: bool) -> Listed:
    values = {_name(child): child.text or "" for child in item}
    key = unquote_plus(values["Key"]) if encoded else values["Key"]
    modified = datetime.fromisoformat(values["LastModified"])
    etag = values.get("ETag", "").strip('"')
    return Listed(key, int(values["Size"]), etag, int(modified.timestamp()))


def _children(root: Element, name: str) -> Iterator[Element]:
    return (child for child in root if _name(child) == name)


def _text(root: Element, name: str) -> str:
    return next((child.text or "" for child in _children(root, name)), "")


def _name(element: Element) -> str:
    """The tag without its namespace, which not every store gives."""
    return element.tag.rpartition("}")[2]
