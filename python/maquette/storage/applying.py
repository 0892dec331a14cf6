"""Carry a plan out: many files at once, in phases, every finished file written down."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from maquette.storage.bucket import Remote
from maquette.storage.downloading import download, remove_unchanged
from maquette.storage.etags import PART_BYTES
from maquette.storage.index import Entry, Index
from maquette.storage.planning import Action, Plan, Verb, phase
from maquette.storage.remote import Snapshot, guarded
from maquette.storage.transfer import Transfer, Unsteady
from maquette.storage.uploading import UploadNotes, Vanished, upload_in_parts, upload_whole

_LARGE_AT_ONCE = 3
_SHOW_EVERY_S = 0.2

Show = Callable[[], None]


@dataclass
class Done:
    """What has been done so far.

    Args:
        written: Objects that the bucket has now, None for removed ones.
        files: Moved ones.
        unsteady: Why files did not move that were written to meanwhile.
    """

    files: int = 0
    bytes: int = 0
    written: dict[str, Remote | None] = field(default_factory=dict)
    removed: int = 0
    unsteady: list[Exception] = field(default_factory=list)


class Applying:
    """One plan at work.

    Args:
        show: Called several times a second.
    """

    def __init__(
        self, transfer: Transfer, index: Index, snapshot: Snapshot, done: Done, show: Show
    ) -> None:
        self._transfer = transfer
        self._index = index
        self._snapshot = snapshot
        self._show = show
        self._done = done
        self._notes = UploadNotes(index.uploads)

    def run(self, plan: Plan) -> None:
        """Do everything in the plan; later phases wait for files that did not move.

        Raises:
            Outdated: the bucket changed since the snapshot; nothing of the other was replaced.
            MaquetteError: what can not go on; all that is done is written down.
        """
        self._adopt(plan)
        shutil.rmtree(self._transfer.incoming, ignore_errors=True)
        self._transfer.incoming.mkdir(parents=True)
        with self._pools() as (pool, large):
            self._sweep(plan)
            for _, actions in groupby(plan.moving(), key=lambda action: phase(action.path)):
                self._together([self._begin(action, pool, large) for action in actions])
                if self._done.unsteady:
                    return
            self._together([pool.submit(self._remove, item) for item in plan.removing()])

    def _adopt(self, plan: Plan) -> None:
        """Remember files that are the same on both sides without having been moved by us."""
        for item in plan.same:
            assert item.local and item.remote
            entry = Entry(item.local.size, item.local.mtime_ns, item.tag, item.remote.etag)
            if entry != item.base:
                self._index.record(item.path, entry)

    def _sweep(self, plan: Plan) -> None:
        large = {item.path for item in plan.moving() if item.size > PART_BYTES}
        uploads = plan.direction == "push" and (large or not self._notes.is_empty())
        if uploads:
            self._notes.sweep(self._transfer, large)

    @contextmanager
    def _pools(self) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
        """Threads for single requests, and for the few large files that wait for their parts."""
        pool = ThreadPoolExecutor(self._transfer.in_flight)
        large = ThreadPoolExecutor(_LARGE_AT_ONCE)
        stop = self._transfer.bucket.wire.stop
        try:
            yield pool, large
        except BaseException:
            stop.set()
            raise
        finally:
            large.shutdown(cancel_futures=stop.is_set())
            pool.shutdown(cancel_futures=stop.is_set())
            stop.clear()

    def _begin(
        self, action: Action, pool: ThreadPoolExecutor, large: ThreadPoolExecutor
    ) -> Future[None]:
        move = self._upload if action.verb is Verb.UPLOAD else self._download
        chosen = large if action.size > PART_BYTES else pool
        return chosen.submit(move, action, pool)

    def _together(self, futures: list[Future[None]]) -> None:
        pending = set(futures)
        while pending:
            ended, pending = wait(pending, _SHOW_EVERY_S, FIRST_EXCEPTION)
            self._show()
            for future in ended:
                error = future.exception()
                if isinstance(error, Unsteady):
                    self._done.unsteady.append(error)
                elif error is not None:
                    raise error

    def _upload(self, action: Action, pool: ThreadPoolExecutor) -> None:
        path = action.path
        if not self._snapshot.is_listed:
            guarded(self._transfer.bucket, self._snapshot, path)
        try:
            if action.size > PART_BYTES:
                moved = upload_in_parts(self._transfer, path, self._notes, pool)
            else:
                moved = upload_whole(self._transfer, path)
        except Vanished:
            return
        self._index.record(path, moved.entry)
        self._done.written[path] = moved.remote

    def _download(self, action: Action, pool: ThreadPoolExecutor) -> None:
        found = action.difference
        assert found.remote
        entry = download(self._transfer, action.path, found.remote, found.local, pool)
        self._index.record(action.path, entry)

    def _remove(self, action: Action) -> None:
        if action.verb is Verb.REMOVE_THERE:
            if guarded(self._transfer.bucket, self._snapshot, action.path):
                self._transfer.bucket.delete(action.path)
            self._done.written[action.path] = None
        else:
            remove_unchanged(self._transfer.root / action.path, action.difference.local)
        self._index.forget(action.path)
        self._done.removed += 1
