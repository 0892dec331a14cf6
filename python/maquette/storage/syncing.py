"""Push and pull: list both sides, compare, plan, apply, and publish what the bucket holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from maquette.errors import JobFailed, NotFound
from maquette.storage.conflicts import Sides
from maquette.storage.diffing import diff
from maquette.storage.etags import content_tag, verdict
from maquette.storage.execution import AppliedChanges, PlanExecutor
from maquette.storage.index import Entry, Index
from maquette.storage.manifest import Outdated, Snapshot, publish, take_snapshot
from maquette.storage.object_store import ObjectStore, RemoteObject
from maquette.storage.pending_uploads import PendingUploads
from maquette.storage.planning import Direction, Plan, Prefer, plan
from maquette.storage.safety import refuse_unsafe
from maquette.storage.selection import Selects, scan
from maquette.storage.transfer import FEWEST_IN_FLIGHT, Transfer, TransferProgress

_ROUNDS = 4
_MANY = 50


@dataclass(frozen=True)
class SyncOptions:
    """What is asked for.

    Args:
        exact: What changed on the other side, alone or too, is replaced.
        publishes: A push writes the bucket's manifest anew.
    """

    direction: Direction
    delete: bool = False
    prefer: Prefer = ""
    relist: bool = False
    exact: bool = False
    publishes: bool = True


@dataclass(frozen=True)
class Comparison:
    """Both sides at one moment, and what is to be done about them."""

    plan: Plan
    snapshot: Snapshot
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class SyncResult:
    """What a push or pull did.

    Args:
        seconds: Wall time.
        left_out: Symbolic links and names that are not text; they never move.
    """

    plan: Plan
    files: int
    bytes: int
    removed: int
    seconds: float
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result for programs."""
        plan = self.plan.to_json()
        return {
            "direction": self.plan.direction,
            "files": self.files,
            "bytes": self.bytes,
            "removed": self.removed,
            "seconds": round(self.seconds, 3),
            "left_out": list(self.left_out),
            **{
                key: plan[key] for key in ("unchanged", "conflicts", "newer_elsewhere", "removable")
            },
        }


Show = Callable[[Comparison, TransferProgress], None]
Confirm = Callable[[Plan], None]


class Sync:
    """A scene's folder and its place in a bucket.

    Args:
        selects: Which paths take part.
        patience_s: How long to wait while another push or pull of the folder is at work.
    """

    def __init__(
        self, root: Path, bucket: ObjectStore, selects: Selects, patience_s: float = 0.0
    ) -> None:
        self._root = root
        self._bucket = bucket
        self._selects = selects
        location = bucket.location
        store = location.identity or location.endpoint
        self._index = Index(root, f"{store} {bucket.url()}", patience_s)
        self._doubted: set[str] = set()

    def compare(self, options: SyncOptions) -> Comparison:
        """List, compare and plan; changes nothing on either side.

        Raises:
            NotFound: there is nothing to push or pull.
            BadInput: keys in the bucket would leave the scene folder.
        """
        with self._index.opened(write=False):
            return self._compare_confirmed(options, options.relist)

    def run(self, options: SyncOptions, show: Show, confirm: Confirm) -> SyncResult:
        """Make the other side hold what this one has (push), or the other way round (pull).

        Args:
            show: Called several times a second while files move.
            confirm: Called with the plan before anything is removed; raises to refuse.

        Raises:
            Conflict: files changed on both sides, or a file and a folder have one name; everything
            else has moved.
            MaquetteError: what can not go on; the same command continues.
        """
        begun, applied = time.monotonic(), AppliedChanges()
        if options.direction == "push":
            self._require_scene()
        with self._index.opened(write=True):
            comparison = self._apply(options, applied, show, confirm)
            publishes = options.direction == "push" and options.publishes
            lost = self._publish(comparison.snapshot, applied) if publishes else []
        if applied.changed_meanwhile:
            raise applied.changed_meanwhile[0]
        conflicts = [item.path for item in comparison.plan.conflicts] + lost
        seconds = time.monotonic() - begun
        result = SyncResult(
            comparison.plan,
            applied.files,
            applied.bytes,
            applied.removed,
            seconds,
            comparison.left_out,
        )
        sides = Sides(self._root, self._bucket, options.direction)
        conflict = sides.conflict(conflicts, comparison.plan.clashes)
        if conflict:
            conflict.result = result
            raise conflict
        return result

    def stored(self) -> dict[str, RemoteObject]:
        """Every object of the scene that the bucket holds, its manifest among them."""
        return self._bucket.objects() or {}

    def agreed(self) -> dict[str, Entry]:
        """What both sides held when they last agreed, by path."""
        with self._index.opened(write=False):
            return dict(self._index.entries)

    def learn(self, entries: Mapping[str, Entry]) -> None:
        """Take over what another folder of the same scene has agreed on with this place."""
        with self._index.opened(write=True):
            for path, entry in entries.items():
                self._index.record(path, entry)

    def clear(self, paths: Iterable[str]) -> None:
        """Remove objects of the scene from the bucket and forget that both sides agreed."""
        with self._index.opened(write=True):
            with ThreadPoolExecutor(FEWEST_IN_FLIGHT) as pool:
                list(pool.map(self._bucket.delete, paths))
            PendingUploads(self._index.uploads).drop_all_but(self._bucket, set())
            self._index.clear()

    def _apply(
        self, options: SyncOptions, applied: AppliedChanges, show: Show, confirm: Confirm
    ) -> Comparison:
        relist, confirmed = options.relist, False
        for _ in range(_ROUNDS):
            comparison = self._compare_confirmed(options, relist)
            if comparison.plan.removing() and not confirmed:
                confirm(comparison.plan)
                confirmed = True
            uploads = options.direction == "push" and comparison.plan.moving()
            if uploads and not comparison.snapshot.has_bucket:
                self._bucket.ensure()
            transfer = Transfer(self._bucket, self._root, self._index.folder / "incoming")
            executor = PlanExecutor(
                transfer,
                self._index,
                comparison.snapshot,
                applied,
                partial(show, comparison, transfer.progress),
            )
            try:
                executor.run(comparison.plan)
                return comparison
            except Outdated as found:
                self._doubted.update(found.args)
                relist = True
            finally:
                applied.files += transfer.progress.files
                applied.bytes += transfer.progress.bytes
        raise JobFailed(
            f"the bucket changed {_ROUNDS} times meanwhile: `{self._bucket.url()}`",
            hint="let the other push end, then run the same command again",
        )

    def _compare_confirmed(self, options: SyncOptions, relist: bool) -> Comparison:
        """Compare by a listing where other programs may have written what is to be pulled.

        A push goes by the manifest, and by a listing when it is to move so much that looking at
        each object costs more, or when the manifest tells of somebody else's changes.
        """
        alone = self._bucket.location.is_ours_alone
        comparison = self._compare(options, relist or (options.direction == "pull" and not alone))
        if comparison.snapshot.is_listed:
            return comparison
        many = not alone and len(comparison.plan.moving()) > _MANY
        return (
            self._compare(options, True) if many or comparison.plan.is_surprising() else comparison
        )

    def _compare(self, options: SyncOptions, relist: bool) -> Comparison:
        with ThreadPoolExecutor(1) as beside:
            copy, doubted = self._index.manifest_copy, frozenset(self._doubted)
            looking = beside.submit(
                take_snapshot, self._bucket, copy, relist=relist, doubted=doubted
            )
            found = scan(self._root, self._selects)
        snapshot = looking.result()
        if options.direction == "pull":
            if not snapshot.objects:
                what = "scene at" if snapshot.has_bucket else f"bucket `{self._bucket.name}` for"
                raise NotFound(
                    f"there is no {what} `{self._bucket.url()}`",
                    hint="`make push-data` puts it there; look at MODEL, BUCKET_NAME and DATASTORE",
                )
            refuse_unsafe(snapshot.objects, self._bucket.url())
        there = {path: item for path, item in snapshot.objects.items() if self._selects(path)}
        index = self._index
        differences = diff(
            found.files, there, index.entries, self._tag_of, self._same_as, index.sent
        )
        chosen = plan(
            differences, options.direction, delete=options.delete, prefer=options.prefer,
            exact=options.exact,
        )  # fmt: skip
        return Comparison(chosen, snapshot, found.left_out)

    def _publish(self, snapshot: Snapshot, applied: AppliedChanges) -> list[str]:
        """Write the manifest; returns the paths where another push was faster."""
        if not applied.written and not (snapshot.is_listed and snapshot.objects):
            return []
        lost = publish(self._bucket, self._index.manifest_copy, snapshot, applied.written)
        for path in lost:
            self._index.forget(path)
        return lost

    def _tag_of(self, path: str) -> str:
        return content_tag(self._root / path)

    def _same_as(self, path: str, there: RemoteObject, tag: str) -> bool:
        """Ask for the tag in an object's metadata, then try how other programs make ETags."""
        present = self._bucket.head(path)
        if present is not None and present.tag == tag:
            return True
        return verdict(self._root / path, there.etag) is True

    def _require_scene(self) -> None:
        if not self._root.is_dir():
            raise NotFound(
                f"there is no scene `{self._root.name}` to push",
                hint=f"`make prepare MODEL={self._root.name} INPUT=…` makes it",
            )
