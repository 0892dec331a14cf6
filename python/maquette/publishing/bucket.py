"""A site in a bucket: uploaded with what browsers need to know of each file, and removed again."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from maquette.errors import UsageError
from maquette.publishing import record
from maquette.publishing.record import Record
from maquette.publishing.single_file import page_in_one
from maquette.publishing.site import (
    INDEX,
    MANIFEST,
    Content,
    Site,
    addressed,
    as_json,
    index_page,
    read_bytes,
    version_of,
)
from maquette.scene.events import now
from maquette.storage.object_store import ObjectStore

_AT_ONCE = 8
_FOR_GOOD = "max-age=31536000, immutable"  # its address changes with its content
_ASK_AGAIN = "no-cache"
_TYPES = {
    ".glb": "model/gltf-binary", ".js": "text/javascript; charset=utf-8",
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
_BINARY = "application/octet-stream"
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Published:
    """What came of it.

    Attributes:
        link: To open in a browser; a secret where the publication is private.
        picture: Address of the picture of the link.
        has_page_rule: Whether pages elsewhere may read the files.
    """

    link: str
    picture: str
    expires_at: str
    has_page_rule: bool


def publish(
    site: Site, bucket: ObjectStore, model: str, lifetime: timedelta | None, tell: Tell
) -> Published:
    """Upload a site.

    Args:
        lifetime: Of the addresses that are given out; None makes everything public.
        tell: Is told how many files are uploaded, and of how many.

    Raises:
        UsageError: an object is in the way that publish did not write.
    """
    bucket.ensure()
    before = read(bucket)
    address = _addresses(bucket, site, lifetime)
    files = {**site.files, **(site.page if lifetime is None else _licences(site))}
    for name, content in _documents(site, address, is_public=lifetime is None).items():
        files.pop(name, None)
        files[name] = content  # the page comes last: a visitor never sees half a site
    digests = {name: hashlib.md5(read_bytes(x)).hexdigest() for name, x in files.items()}
    _require_room(bucket, files, before)
    old = before.files if before else {}
    rule = _allow_pages(bucket)
    ends = "" if lifetime is None else _moment(datetime.now(UTC) + lifetime)
    made = Record(model, digests, lifetime is None, rule, now(), ends)
    _write_record(bucket, Record(model, {**old, **digests}, made.public, rule, now(), ends))
    _upload(bucket, files, made.public, tell)
    _remove(bucket, {name: old[name] for name in old.keys() - digests.keys()})
    _write_record(bucket, made)
    picture = address(site.link_picture) if site.link_picture else ""
    return Published(address(INDEX), picture, ends, bool(rule))


def _addresses(
    bucket: ObjectStore, site: Site, lifetime: timedelta | None
) -> Callable[[str], str]:  # fmt: skip
    """How a file is reached from anywhere."""
    if lifetime is None:
        return lambda name: bucket.address_to_read(name, 60).partition("?")[0]
    seconds = int(lifetime.total_seconds())
    return lambda name: bucket.address_to_read(name, seconds)


def _documents(
    site: Site, address: Callable[[str], str], *, is_public: bool
) -> dict[str, bytes]:  # fmt: skip
    picture = address(site.link_picture) if site.link_picture else ""
    if is_public:
        told = addressed(site.manifest, lambda name: version_of(name, site.files[name]))
        return {
            MANIFEST: as_json(told),
            INDEX: index_page(site, picture, versioned=True).encode(),
        }
    return {
        MANIFEST: as_json(addressed(site.manifest, address)),
        INDEX: page_in_one(site, picture, address(MANIFEST)),
    }


def _licences(site: Site) -> dict[str, Content]:
    return {name: content for name, content in site.page.items() if name.endswith(".txt")}


def _upload(
    bucket: ObjectStore, files: Mapping[str, Content], is_public: bool, tell: Tell
) -> None:  # fmt: skip
    *many, manifest, index = files.items()

    def put(item: tuple[str, Content]) -> None:
        name, content = item[0], read_bytes(item[1])
        digest = hashlib.md5(content)
        headers = {"content-type": content_type(name), "cache-control": _caching(name, is_public)}
        if is_public:
            headers["x-amz-acl"] = "public-read"
        bucket.put(name, content, digest.digest(), digest.hexdigest(), {}, headers)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, _ in enumerate(pool.map(put, many), start=1):
            tell(number, len(files))
    for item in (manifest, index):
        put(item)
    tell(len(files), len(files))


def content_type(name: str) -> str:
    """What a browser is told that a file is."""
    suffix = "." + name.rpartition(".")[2].lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or _BINARY


def _caching(name: str, is_public: bool) -> str:
    if name in (INDEX, MANIFEST):
        return _ASK_AGAIN
    return f"{'public' if is_public else 'private'}, {_FOR_GOOD}"


def _allow_pages(bucket: ObjectStore) -> str:
    """Let pages of other hosts read the bucket, where it takes such a rule; its name, or ""."""
    rules = bucket.page_rules()
    if rules is None:
        return ""
    name = _rule_name(bucket)
    if any(rule.get("ID") == name for rule in rules):
        return name
    rule = {
        "ID": name, "AllowedOrigins": ["*"], "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["*"], "ExposeHeaders": ["Content-Length", "ETag"],
        "MaxAgeSeconds": 3600,
    }  # fmt: skip
    return name if bucket.set_page_rules([*rules, rule]) else ""


def _rule_name(bucket: ObjectStore) -> str:
    return f"maquette-{hashlib.sha256(bucket.url().encode()).hexdigest()[:12]}"


def read(bucket: ObjectStore) -> Record | None:
    """The record of what was published there; None where nothing was."""
    answer = bucket.get(record.FILE, lambda body: body.read())
    return None if answer.status == 404 else record.parse(answer.body, bucket.url(record.FILE))


def remove(bucket: ObjectStore, known: Record) -> list[str]:
    """Remove what was published; returns what somebody changed since, which stays."""
    kept = _remove(bucket, known.files)
    if known.page_rule:
        rules = bucket.page_rules() or []
        others = [rule for rule in rules if rule.get("ID") != known.page_rule]
        if len(others) < len(rules):
            bucket.set_page_rules(others)
    bucket.delete(record.FILE)
    return kept


def _remove(bucket: ObjectStore, files: Mapping[str, str]) -> list[str]:
    kept = []
    for name, digest in files.items():
        present = bucket.head(name)
        if present is None:
            continue
        if present.tag != digest:
            kept.append(name)
            continue
        bucket.delete(name)
    return sorted(kept)


def _write_record(bucket: ObjectStore, written: Record) -> None:
    content = json.dumps(written.as_json(), indent=2).encode()
    digest = hashlib.md5(content)
    headers = {"content-type": "application/json", "cache-control": _ASK_AGAIN}
    bucket.put(record.FILE, content, digest.digest(), digest.hexdigest(), {}, headers)


def _require_room(bucket: ObjectStore, names: Iterable[str], before: Record | None) -> None:
    known = before.files if before else {}
    present = bucket.objects() or {}
    foreign = sorted(name for name in names if name in present and name not in known)
    if foreign:
        raise UsageError(
            f"`{bucket.url(foreign[0])}` is there, and publish did not write it",
            hint="give another prefix: TO=s3://bucket/prefix",
        )


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
