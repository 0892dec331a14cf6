"""What the bucket holds: by its manifest when that is enough, else by a listing.

`<prefix>/.maquette/manifest.json` names every object with size, ETag and content tag, and those
that we pushed with the CRC-32 of their parts. While its ETag is that of our copy, nobody pushed
since, and one small request replaces the listing of a push. Programs that write to the bucket
without it are met by `guarded`: each object that is about to be replaced or removed is looked at
first. A pull lists, so it sees them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.scene.atomic import replacing
from maquette.scene.paths import OWN_FOLDER
from maquette.storage.etags import new_md5
from maquette.storage.object_store import (
    NOT_IMPLEMENTED,
    PRECONDITION_FAILED,
    ObjectStore,
    RemoteObject,
)

MANIFEST = f"{OWN_FOLDER}/manifest.json"
_ROUNDS = 5


class Outdated(Exception):
    """The bucket holds something else than its manifest says; a listing is needed."""


@dataclass(frozen=True)
class Snapshot:
    """The objects of a scene at one moment.

    Args:
        manifest_etag: Of the manifest then; empty when there was none.
        is_listed: Read from a listing, so it holds also what other programs wrote.
        has_bucket: The bucket is there, even if nothing is in it.
    """

    objects: dict[str, RemoteObject]
    manifest_etag: str
    is_listed: bool
    has_bucket: bool = True


def take_snapshot(
    bucket: ObjectStore, copy: Path, *, relist: bool, doubted: Collection[str] = ()
) -> Snapshot:
    """Read the manifest if it differs from our `copy` of it; list beside it, or when there is none.

    Args:
        relist: List in any case, to see also what other programs wrote.
        doubted: Paths whose objects turned out not to be what the manifest says.
    """
    known = copy.read_bytes() if copy.is_file() else b""
    before = _decoded(known) or {}
    with ThreadPoolExecutor(1) as beside:
        listing = beside.submit(bucket.objects, before) if relist or not before else None
        answer = bucket.get_if_changed(MANIFEST, _md5(known) if known else "")
        content = known if answer.status == 304 else answer.body if answer.status == 200 else b""
        objects = before if answer.status == 304 else _decoded(content)
        etag = _md5(content) if content else ""
        if listing is None and objects is None:
            listing = beside.submit(bucket.objects, before)
    if objects is None or relist:
        assert listing is not None
        found = listing.result()
        listed = {path: item for path, item in (found or {}).items() if not _is_own(path)}
        return Snapshot(_with_tags(listed, objects or {}, doubted), etag, True, found is not None)
    if answer.status == 200 and copy.parent.is_dir():  # not while only looking
        _save(copy, content)
    return Snapshot(objects, etag, False)


def guarded(bucket: ObjectStore, snapshot: Snapshot, path: str) -> RemoteObject | None:
    """Look at an object that is about to be replaced or removed.

    Returns:
        The object, None when there is none.

    Raises:
        Outdated: it is not the one in the snapshot.
    """
    known, present = snapshot.objects.get(path), bucket.head(path)
    if present is not None and (known is None or not known.is_still(present)):
        raise Outdated(path)
    return present


def publish(
    bucket: ObjectStore, copy: Path, snapshot: Snapshot, changes: dict[str, RemoteObject | None]
) -> list[str]:
    """Write the manifest of what the bucket holds after our changes, merged with other pushes.

    Args:
        changes: What we wrote, None for what we removed.

    Returns:
        Paths where another push wrote at the same time and its object stands, not ours.
    """
    objects, etag, lost = dict(snapshot.objects), snapshot.manifest_etag, []
    for _ in range(_ROUNDS):
        merged = {**objects, **changes}
        content = _encoded({path: item for path, item in merged.items() if item is not None})
        if _md5(content) == etag:
            break
        if _replace(bucket, content, etag):
            break
        answer = bucket.get_if_changed(MANIFEST, "")
        theirs = _decoded(answer.body) if answer.status == 200 else None
        objects, etag = theirs or {}, _md5(answer.body) if answer.status == 200 else ""
        lost += [path for path in changes if _is_theirs(bucket, path, objects, changes)]
        changes = {path: item for path, item in changes.items() if path not in lost}
    _save(copy, content)
    return lost


def _is_theirs(
    bucket: ObjectStore,
    path: str,
    theirs: dict[str, RemoteObject],
    ours: dict[str, RemoteObject | None],
) -> bool:
    """Whether another push wrote the same path and its object is the one that stands."""
    wanted, other = ours[path], theirs.get(path)
    if wanted is None or other is None or other.tag == wanted.tag:
        return False
    present = bucket.head(path)
    return present is not None and other.is_still(present)


def _replace(bucket: ObjectStore, content: bytes, etag: str) -> bool:
    """Write the manifest unless it is no longer the one with `etag`; says whether it did."""
    present = bucket.get_if_changed(MANIFEST, etag)
    found = (
        {304: etag, 404: ""}.get(present.status) if present.status != 200 else _md5(present.body)
    )
    if found != etag:
        return False  # the condition below says so too, but not every store knows conditions
    known = present.etag or etag  # an encrypting store's ETag is not the MD5
    condition = {"if-match": f'"{known}"'} if etag else {"if-none-match": "*"}
    digest = new_md5()
    digest.update(content)
    answer = bucket.put(MANIFEST, content, digest.digest(), "", condition)
    if answer.status == NOT_IMPLEMENTED:
        answer = bucket.put(MANIFEST, content, digest.digest(), "", {})
    return answer.status != PRECONDITION_FAILED


def _with_tags(
    listed: dict[str, RemoteObject], known: dict[str, RemoteObject], doubted: Collection[str]
) -> dict[str, RemoteObject]:
    """Keep what the manifest knows of objects that are still the same: their tag above all."""
    tagged = {}
    for path, item in listed.items():
        before = known.get(path)
        trusted = before is not None and before.is_still(item) and path not in doubted
        tagged[path] = before if before is not None and trusted else item
    return tagged


def _encoded(objects: dict[str, RemoteObject]) -> bytes:
    rows = {
        path: (item.size, item.etag, item.tag, item.modified_s)
        for path, item in sorted(objects.items())
    }
    crcs = {path: item.crcs for path, item in sorted(objects.items()) if item.crcs}
    content = {"version": 1, "objects": rows, **({"crc32": crcs} if crcs else {})}
    return json.dumps(content, separators=(",", ":")).encode()


def _decoded(content: bytes) -> dict[str, RemoteObject] | None:
    """The manifest's objects; None when it is missing or damaged."""
    try:
        read: Any = json.loads(content)
        crcs = read.get("crc32", {})  # manifests of earlier versions have none
        return {
            str(path): RemoteObject(
                int(size), str(etag), str(tag), int(modified_s), str(crcs.get(path, ""))
            )
            for path, (size, etag, tag, modified_s) in read["objects"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _save(copy: Path, content: bytes) -> None:
    with replacing(copy) as temporary:
        temporary.write_bytes(content)


def _md5(content: bytes) -> str:
    digest = new_md5()
    digest.update(content)
    return str(digest.hexdigest())


def _is_own(path: str) -> bool:
    return path.startswith(f"{OWN_FOLDER}/")
