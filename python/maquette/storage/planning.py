"""Decide what moves: a pure function from differences to a plan that can be printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from maquette.scene.checkpoints import CHECKSUM_SUFFIX, POINTER
from maquette.storage.diffing import Difference, Kind
from maquette.storage.name_clashes import NameClash, untangle
from maquette.storage.selection import REPORTS

Direction = Literal["push", "pull"]
Prefer = Literal["", "local", "remote"]


class Verb(StrEnum):
    """What is done to a path."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    REMOVE_THERE = "remove there"
    REMOVE_HERE = "remove here"


@dataclass(frozen=True)
class Action:
    """One thing to do."""

    verb: Verb
    difference: Difference

    @property
    def path(self) -> str:
        return self.difference.path

    @property
    def size(self) -> int:
        """Bytes that move, or that are removed."""
        found = self.difference
        side = found.remote if self.verb in (Verb.DOWNLOAD, Verb.REMOVE_THERE) else found.local
        return side.size if side else 0


@dataclass(frozen=True)
class Plan:
    """Everything a push or pull will do and leave; `actions` in the order of their phases.

    Args:
        replaced: What makes way, before all else, for folders or files of the same name.
    """

    direction: Direction
    actions: tuple[Action, ...]
    conflicts: tuple[Difference, ...]
    newer_elsewhere: tuple[Difference, ...]
    same: tuple[Difference, ...]
    removable: tuple[Difference, ...]
    replaced: tuple[Action, ...] = ()
    clashes: tuple[NameClash, ...] = ()

    def moving(self) -> list[Action]:
        """The uploads and downloads."""
        return [item for item in self.actions if item.verb in (Verb.UPLOAD, Verb.DOWNLOAD)]

    def removing(self) -> list[Action]:
        """The removals; they come last."""
        return [item for item in self.actions if item.verb in (Verb.REMOVE_THERE, Verb.REMOVE_HERE)]

    def left(self) -> tuple[tuple[Difference, ...], ...]:
        """What differs and stays as it is: conflicts, newer ones elsewhere, removable ones."""
        return self.conflicts, self.newer_elsewhere, self.removable

    def is_surprising(self) -> bool:
        """Whether somebody else seems to have changed what we thought to know."""
        unsure = self.conflicts or self.clashes or self.replaced
        return bool(unsure) or (self.direction == "push" and bool(self.newer_elsewhere))

    def to_json(self) -> dict[str, Any]:
        """The plan for programs."""
        return {
            "direction": self.direction,
            "actions": [
                {"do": str(item.verb), "path": item.path, "size_bytes": item.size}
                for item in (*self.replaced, *self.actions)
            ],
            "conflicts": [item.path for item in self.conflicts],
            "clashes": [[item.file, item.below] for item in self.clashes],
            "newer_elsewhere": [item.path for item in self.newer_elsewhere],
            "removable": [item.path for item in self.removable],
            "unchanged": len(self.same),
            "bytes": sum(item.size for item in self.moving()),
        }


_PUSHED = (Kind.ONLY_HERE, Kind.REMOVED_THERE, Kind.CHANGED_HERE)
_PULLED = (Kind.ONLY_THERE, Kind.REMOVED_HERE, Kind.CHANGED_THERE)


def plan(
    differences: Iterable[Difference], direction: Direction, *, delete: bool, prefer: Prefer,
    exact: bool = False,
) -> Plan:  # fmt: skip
    """Choose an action for each difference.

    Nothing newer is replaced by something older, a file that changed on both sides only moves
    when `prefer` says which one counts, and only `delete` removes: a file that both sides had
    and that was removed, unchanged, on the side that is copied from. Where that became a folder,
    or a folder a file, it is replaced.

    Args:
        exact: What changed on the other side, alone or too, is replaced.
    """
    push = direction == "push"
    moved: tuple[Kind, ...]
    moved, verb = (_PUSHED, Verb.UPLOAD) if push else (_PULLED, Verb.DOWNLOAD)
    newer = Kind.CHANGED_THERE if push else Kind.CHANGED_HERE
    moved += (newer, Kind.CONFLICT) if exact else ()
    removed, removal = (
        (Kind.REMOVED_HERE, Verb.REMOVE_THERE) if push else (Kind.REMOVED_THERE, Verb.REMOVE_HERE)
    )
    untangled = untangle(differences, direction, prefer)
    by_kind: dict[Kind, list[Difference]] = {kind: [] for kind in Kind}
    for item in untangled.moving:
        by_kind[item.kind].append(item)
    actions = [Action(verb, item) for kind in moved for item in by_kind[kind]]
    conflicts, elsewhere = by_kind[Kind.CONFLICT], list(by_kind[newer])
    if exact:
        conflicts, elsewhere = [], []
    elif prefer:
        if (prefer == "local") == push:
            actions += [Action(verb, item) for item in conflicts]
        else:
            elsewhere += conflicts
        conflicts = []
    actions.sort(key=lambda action: (phase(action.path), action.path))
    if delete:
        gone = [Action(removal, item) for item in by_kind[removed]]
        actions += sorted(gone, key=lambda action: (-phase(action.path), action.path))
    return Plan(
        direction,
        tuple(actions),
        tuple(conflicts),
        tuple(elsewhere),
        tuple(by_kind[Kind.SAME]),
        () if delete else tuple(by_kind[removed]),
        tuple(Action(removal, item) for item in untangled.replaced),
        untangled.clashes,
    )


def phase(path: str) -> int:
    """When a path moves: files first, then the records that speak of them, pointers last."""
    if path.rpartition("/")[2] == POINTER:
        return 2
    is_record = path.startswith("stages/") and path.endswith(".json")
    return int(path in REPORTS or is_record or path.endswith(CHECKSUM_SUFFIX))
