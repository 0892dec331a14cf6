"""Compare both sides with what they held when they last agreed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from maquette.storage.index import Entry
from maquette.storage.object_store import RemoteObject
from maquette.storage.selection import LocalFile


class Kind(StrEnum):
    """How a path differs."""

    SAME = "same"
    ONLY_HERE = "only here"
    ONLY_THERE = "only there"
    CHANGED_HERE = "changed here"
    CHANGED_THERE = "changed there"
    REMOVED_HERE = "removed here"
    REMOVED_THERE = "removed there"
    CONFLICT = "changed on both sides"


@dataclass(frozen=True)
class Difference:
    """One path on both sides, and when they last agreed."""

    path: str
    kind: Kind
    local: LocalFile | None
    remote: RemoteObject | None
    base: Entry | None
    tag: str = ""

    @property
    def size(self) -> int:
        """Bytes of the side that exists; the local one first."""
        side = self.local or self.remote
        return side.size if side else 0


TagOf = Callable[[str], str]
SameAs = Callable[[str, RemoteObject, str], bool]


def diff(
    local: Mapping[str, LocalFile],
    remote: Mapping[str, RemoteObject],
    base: Mapping[str, Entry],
    tag_of: TagOf,
    same_as: SameAs,
    sent: Mapping[str, set[str]],
) -> list[Difference]:
    """Compare every path of either side, sorted.

    Args:
        tag_of: The content tag of a local file; called only where it decides.
        same_as: Whether an object has the content of a local file although its ETag does not say
            so; called with path, object and the file's tag where nothing else decides.
        sent: Tags of contents that an interrupted push of ours may have brought there.
    """
    found = []
    for path in sorted(local.keys() | remote.keys()):
        here, there, before = local.get(path), remote.get(path), base.get(path)
        mine = sent.get(path, set())
        try:
            found.append(_compared(path, here, there, before, tag_of, same_as, mine))
        except FileNotFoundError:  # it was removed since it was listed
            if there:
                found.append(_compared(path, None, there, before, tag_of, same_as, mine))
    return found


def _compared(
    path: str,
    here: LocalFile | None,
    there: RemoteObject | None,
    before: Entry | None,
    tag_of: TagOf,
    same_as: SameAs,
    sent: set[str],
) -> Difference:
    tag = local_tag(path, here, there, before, tag_of) if here else ""
    there_tag = remote_tag(there, before)
    unknown = here and there and here.size == there.size and tag != there_tag
    if here and there and unknown and (before is None or there.etag != before.etag):
        there_tag = tag if same_as(path, there, tag) else there_tag
    kind = classify(tag, there_tag, before.tag if before else "")
    if kind is Kind.CONFLICT and there and sent & {there_tag, there.etag}:
        kind = Kind.CHANGED_HERE  # the other side is our own, and we went on since
    return Difference(path, kind, here, there, before, tag)


def local_tag(
    path: str, here: LocalFile, there: RemoteObject | None, before: Entry | None, tag_of: TagOf
) -> str:
    """The local content's tag; a file that differs by its size alone is not read."""
    if before and (here.size, here.mtime_ns) == (before.size, before.mtime_ns):
        return before.tag
    if here.size in {side.size for side in (there, before) if side}:
        return tag_of(path)
    return f"size {here.size}"


def remote_tag(there: RemoteObject | None, before: Entry | None) -> str:
    """The object's tag; "" when there is no object."""
    if there is None:
        return ""
    if before and there.etag == before.etag:
        return before.tag
    return there.tag or f"etag {there.etag}"


def classify(here: str, there: str, before: str) -> Kind:
    """Compare three content tags, "" for no file, into the way they differ."""
    if here and there:
        if here == there:
            return Kind.SAME
        if before == there:
            return Kind.CHANGED_HERE
        return Kind.CHANGED_THERE if before == here else Kind.CONFLICT
    if here:
        return Kind.REMOVED_THERE if before == here else Kind.ONLY_HERE
    return Kind.REMOVED_HERE if before == there else Kind.ONLY_THERE
