"""Execute a plan: many files at once, in phases, every finished file written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue

from maquette.storage import etags, partial_download, pending_uploads
from maquette.storage.downloading import download, remove_unchanged
from maquette.storage.index import Entry, Index
from maquette.storage.manifest import Snapshot, guarded
from maquette.storage.object_store import RemoteObject
from maquette.storage.pending_uploads import PendingUploads
from maquette.storage.planning import Action, Plan, Verb, phase
from maquette.storage.transfer import FEWEST_IN_FLIGHT, FileChanged, Transfer
from maquette.storage.uploading import FileVanished, upload_in_parts, upload_whole

_LARGE_AT_ONCE = 3
_SHOW_EVERY_S = 0.2

Show = Callable[[], None]


@dataclass
class AppliedChanges:
    """What has been done so far.

    Args:
        written: Objects that the bucket has now, None for removed ones.
        files: Moved ones.
        changed_meanwhile: Why files did not move that were written to meanwhile.
    """

    files: int = 0
    bytes: int = 0
    written: dict[str, RemoteObject | None] = field(default_factory=dict)
    removed: int = 0
    changed_meanwhile: list[Exception] = field(default_factory=list)


@dataclass(frozen=True)
class _Pools:
    """Threads: for small files, for parts of large ones, and for these, which wait for their parts.

    Parts keep a connection busy however far the store is, so there are never more of them.
    """

    single: ThreadPoolExecutor
    parts: ThreadPoolExecutor
    large: ThreadPoolExecutor


class PlanExecutor:
    """Executes one plan.

    Args:
        show: Called several times a second.
    """

    def __init__(
        self,
        transfer: Transfer,
        index: Index,
        snapshot: Snapshot,
        applied: AppliedChanges,
        show: Show,
    ) -> None:
        self._transfer = transfer
        self._index = index
        self._snapshot = snapshot
        self._show = show
        self._applied = applied
        self._notes = PendingUploads(index.uploads)

    def run(self, plan: Plan) -> None:
        """Do everything in the plan; later phases wait for files that did not move.

        Raises:
            Outdated: the bucket changed since the snapshot; nothing of the other was replaced.
            MaquetteError: what can not go on; all that is done is written down.
        """
        self._adopt(plan)
        if plan.direction == "pull":
            partial_download.sweep(self._transfer.incoming, _coming(plan))
        with self._pools() as pools:
            self._sweep(plan, pools.single)
            self._together([pools.single.submit(self._remove, item) for item in plan.replaced])
            if self._applied.changed_meanwhile:
                return
            for _, actions in groupby(plan.moving(), key=lambda action: phase(action.path)):
                self._together([self._begin(action, pools) for action in actions])
                if self._applied.changed_meanwhile:
                    return
            self._together([pools.single.submit(self._remove, item) for item in plan.removing()])

    def _adopt(self, plan: Plan) -> None:
        """Remember files that are the same on both sides without having been moved by us."""
        for item in plan.same:
            assert item.local and item.remote
            entry = Entry(item.local.size, item.local.mtime_ns, item.tag, item.remote.etag)
            if entry != item.base:
                self._index.record(item.path, entry)

    def _sweep(self, plan: Plan, pool: ThreadPoolExecutor) -> None:
        """Abort uploads of ours that nobody resumes; old ones beside the transfer."""
        large = {item.path for item in plan.moving() if item.size > etags.PART_BYTES}
        if plan.direction == "push" and (large or not self._notes.is_empty()):
            self._notes.drop_all_but(self._transfer.bucket, large)
            pool.submit(pending_uploads.sweep, self._transfer.bucket, self._notes.ids())

    @contextmanager
    def _pools(self) -> Iterator[_Pools]:
        pools = _Pools(
            ThreadPoolExecutor(self._transfer.in_flight),
            ThreadPoolExecutor(FEWEST_IN_FLIGHT),
            ThreadPoolExecutor(_LARGE_AT_ONCE),
        )
        stop = self._transfer.bucket.stop
        try:
            yield pools
        except BaseException:
            stop.set()
            raise
        finally:
            for pool in (pools.large, pools.parts, pools.single):
                pool.shutdown(cancel_futures=stop.is_set())
            stop.clear()

    def _begin(self, action: Action, pools: _Pools) -> Future[None]:
        move = self._upload if action.verb is Verb.UPLOAD else self._download
        chosen = pools.large if action.size > etags.PART_BYTES else pools.single
        return chosen.submit(move, action, pools.parts)

    def _together(self, futures: list[Future[None]]) -> None:
        ended: SimpleQueue[Future[None]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(ended.put)
        shown = time.monotonic()
        for _ in futures:
            future = self._next(ended)
            error = future.exception()
            if isinstance(error, FileChanged):
                self._applied.changed_meanwhile.append(error)
            elif error is not None:
                raise error
            if time.monotonic() - shown > _SHOW_EVERY_S:
                self._show()
                shown = time.monotonic()
        self._show()

    def _next(self, ended: SimpleQueue[Future[None]]) -> Future[None]:
        while True:
            try:
                return ended.get(timeout=_SHOW_EVERY_S)
            except Empty:
                self._show()

    def _upload(self, action: Action, pool: ThreadPoolExecutor) -> None:
        path = action.path
        if not self._snapshot.is_listed:
            guarded(self._transfer.bucket, self._snapshot, path)
        note = self._index.note_upload
        try:
            if action.size > etags.PART_BYTES:
                moved = upload_in_parts(self._transfer, path, note, self._notes, pool)
            else:
                moved = upload_whole(self._transfer, path, note)
        except FileVanished:
            return
        self._index.record(path, moved.entry)
        self._applied.written[path] = moved.remote

    def _download(self, action: Action, pool: ThreadPoolExecutor) -> None:
        entry = download(self._transfer, action.difference, self._index.note_download, pool)
        self._index.record(action.path, entry)

    def _remove(self, action: Action) -> None:
        if action.verb is Verb.REMOVE_THERE:
            if guarded(self._transfer.bucket, self._snapshot, action.path):
                self._transfer.bucket.delete(action.path)
            self._applied.written[action.path] = None
        else:
            remove_unchanged(self._transfer.root / action.path, action.difference.local)
        self._index.forget(action.path)
        self._applied.removed += 1


def _coming(plan: Plan) -> Iterator[tuple[str, str]]:
    """Path and ETag of every object that is to be downloaded."""
    for action in plan.moving():
        if action.difference.remote:
            yield action.path, action.difference.remote.etag
