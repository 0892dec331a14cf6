"""A file and a folder of one name: a bucket can hold both, no file system can; pure.

What became a folder, or a file, is a change like any other: the old one makes way where it is as it
was when both sides last agreed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from maquette.storage.diffing import Difference, Kind

_AGREED = (Kind.REMOVED_HERE, Kind.REMOVED_THERE)


@dataclass(frozen=True)
class NameClash:
    """A path that is a file, and one below it.

    Args:
        is_there: Both are in the bucket.
    """

    file: str
    below: str
    is_there: bool


@dataclass(frozen=True)
class Untangled:
    """What is left to move, what makes way for it, and what can not be decided."""

    moving: tuple[Difference, ...]
    replaced: tuple[Difference, ...]
    clashes: tuple[NameClash, ...]


def untangle(
    differences: Iterable[Difference],
    direction: Literal["push", "pull"],
    prefer: Literal["", "local", "remote"],
) -> Untangled:
    """Part the differences whose paths can not stand beside one another.

    Args:
        prefer: The side that counts where the old one is not as it was.
    """
    found = {item.path: item for item in differences}
    replaced: dict[str, Difference] = {}
    held: set[str] = set()
    clashes = []
    for file, below in _pairs(found):
        pair = found[file], found[below]
        old = [item for item in pair if not _is_in_source(item, direction)]
        if len(old) == 2:
            continue  # nothing of it moves
        decides = (prefer == "local") == (direction == "push")
        if old and (old[0].kind in _AGREED or (prefer and decides)):
            replaced[old[0].path] = old[0]
            continue
        held |= {file, below}
        if not prefer or decides:
            is_there = all(item.remote is not None for item in pair)
            clashes.append(NameClash(file, below, is_there))
    return Untangled(
        tuple(item for path, item in found.items() if path not in held | replaced.keys()),
        tuple(item for path, item in replaced.items() if path not in held),
        tuple(clashes),
    )


def _is_in_source(item: Difference, direction: Literal["push", "pull"]) -> bool:
    return (item.local if direction == "push" else item.remote) is not None


def _pairs(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each path that is also a folder's, with each path below it."""
    known = set(paths)
    folders: dict[str, bool] = {}  # most paths share theirs
    for path in sorted(known):
        end = path.rfind("/")
        while end > 0:
            folder = path[:end]
            if folders.setdefault(folder, folder in known):
                yield folder, path
            end = path.rfind("/", 0, end)
