"""Synchronise the scene between this machine and its store: files, checksums, then pointers."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from maquette.agent.arguments import KEY_NAMES, Arguments, Store
from maquette.agent.pins import CheckpointPins
from maquette.errors import JobFailed, MaquetteError, NotFound
from maquette.scene.atomic import write_text
from maquette.scene.checkpoints import CHECKSUM_SUFFIX, POINTER, all_below
from maquette.storage import handover
from maquette.storage.index import Entry
from maquette.storage.object_store import StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.selection import selection
from maquette.storage.signing import Credentials
from maquette.storage.syncing import Sync, SyncOptions, SyncResult
from maquette.storage.transfer import FileChanged

_RETRY_S = 5.0
_LOOK_S = 7 * 86_400  # as long as stores allow
_ROUNDS = 3
_PATIENCE_S = 600.0  # while what shards read and made moves
T = TypeVar("T")


class SceneSync:
    """Synchronises the scene with its store; calls from several threads take turns.

    Args:
        say: Takes a sentence for the person.
    """

    def __init__(self, arguments: Arguments, store: Store, say: Callable[[str], None]) -> None:
        access, secret, token = (arguments.secret(name) for name in KEY_NAMES)
        location = StoreLocation(store.endpoint, store.region, store.host_style)
        keys = Credentials(access, secret, token)
        self._bucket = open_store(location, keys, store.bucket, store.prefix)
        self._root = arguments.scene
        self._job, self._handed_over = arguments.job, arguments.handed_over
        self._pins = CheckpointPins(arguments.scene)
        self._retry_limit_s = arguments.store_patience_s
        self._say = say
        self._lock = threading.Lock()
        self.pushes = 0
        self.bytes = 0

    @property
    def url(self) -> str:
        """The scene's place, as a person writes it."""
        return self._bucket.url()

    def pull(self) -> None:
        """Remove our keys from the bucket and pull the scene, with retries.

        Raises:
            NotFound: the store holds no such scene.
            MaquetteError: it can not be read.
        """

        def bring() -> None:
            if self._handed_over:
                handover.remove(self._bucket, self._job)
            self._run(SyncOptions("pull", prefer="remote"), lambda path: True)

        self._with_retries(bring)
        for path in remove_damaged(self._root):
            self._say(f"{path} differs from its checksum and is left out")
        self._pins.update()

    def push(self, removes: bool = True) -> None:
        """Push what is new, once.

        Args:
            removes: What was removed here is removed there too.

        Raises:
            MaquetteError: the store can not be reached or refuses.
        """
        try:
            result = self._push_files()
        finally:
            self._push_pins()  # these stand still, whatever happens to other files
        removable = {item.path for item in result.plan.removable}
        if removable and removes:
            self._run(
                SyncOptions("push", delete=True, prefer="local"),
                lambda path: path in removable and not self._pins.is_pinned(path),
            )
        self.pushes += 1

    def push_with_retries(self) -> None:
        """Push what is new; an unreachable store is tried for a while.

        Raises:
            MaquetteError: it stayed unreachable, or it refuses.
        """
        self._with_retries(self.push)

    def addresses_to_look_at(self) -> dict[str, str]:
        """Addresses that anybody may read for a week: `link` of the report, `picture` of a result.

        Without those that there are not.
        """
        found = {}
        pictures = sorted(
            (path for path in self._root.glob("results/*/*_views.png") if path.is_file()),
            key=lambda path: path.stat().st_mtime,
        )
        shown = {"link": [self._root / "report.html"], "picture": pictures[-1:]}
        for name, paths in shown.items():
            for path in paths:
                if path.is_file():
                    place = path.relative_to(self._root).as_posix()
                    kind = "text/html; charset=utf-8" if name == "link" else "image/png"
                    found[name] = self._bucket.address_to_read(place, _LOOK_S, kind)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._bucket.close()

    def _push_files(self) -> SyncResult:
        """Push all but the pointers; what training replaces meanwhile is pushed as it then is."""
        for _ in range(_ROUNDS):
            write_checksums(self._root)
            try:
                return self._run(
                    SyncOptions("push", prefer="local"), lambda path: not _is_pointer(path)
                )
            except FileChanged as found:
                unsteady = found
        raise unsteady

    def _push_pins(self) -> None:
        """Push the newest checkpoints and the pointers to them, then remove the pins before."""
        self._pins.update()
        if not self._pins.root.exists():
            return
        write_checksums(self._pins.root)
        pins = Sync(self._pins.root, self._bucket, _is_pointer)
        before = pins.agreed()
        try:
            self._run(
                SyncOptions("push", delete=True, prefer="local"),
                lambda path: self._pins.is_pinned(path) or self._pins.is_orphaned(path),
                self._pins.root,
            )
        finally:
            self._know_pointers(before, pins.agreed())

    def _know_pointers(self, before: dict[str, Entry], after: dict[str, Entry]) -> None:
        """Record in the scene's own folder which pointers the store has from us.

        When the store then stays away, the next pull leaves the newer ones here as they are.
        """
        pushed = {path: entry for path, entry in after.items()
                  if _is_pointer(path) and entry != before.get(path)}  # fmt: skip
        if pushed:
            with self._lock:
                Sync(self._root, self._bucket, _is_pointer).learn(pushed)

    def _run(
        self, options: SyncOptions, wanted: Callable[[str], bool], root: Path | None = None
    ) -> SyncResult:
        selects = selection(self._root)
        asked = root or self._root, self._bucket, lambda path: wanted(path) and selects(path)
        sync = Sync(*asked, _PATIENCE_S)
        with self._lock:
            result = sync.run(options, lambda comparison, progress: None, lambda plan: None)
        self.bytes += result.bytes
        return result

    def _with_retries(self, work: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._retry_limit_s
        while True:
            try:
                return work()
            except NotFound:
                raise
            except MaquetteError as error:
                if time.monotonic() > deadline or not isinstance(error, JobFailed):
                    raise
                self._say(f"the store is tried again: {error.what}")
                threading.Event().wait(min(_RETRY_S, max(0.0, deadline - time.monotonic())))


class PeriodicPush:
    """Pushes every SYNC_MINUTES and when asked, in a thread, so that the clock is still watched."""

    def __init__(
        self,
        scene_sync: SceneSync,
        interval_s: float,
        request: threading.Event,
        say: Callable[[str], None],
        removes: bool = True,
    ) -> None:
        self._interval_s, self._removes = interval_s, removes
        self._scene_sync = scene_sync
        self._request = request
        self._say = say
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the push at work end, begin no other."""
        self._closing.set()
        self._request.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._request.wait(self._interval_s)
            self._request.clear()
            if self._closing.is_set():
                return
            try:
                self._scene_sync.push(self._removes)
            except MaquetteError as error:
                self._say(f"not everything was pushed, the next push goes on: {error.what}")
            except OSError as error:
                self._say(f"not everything was pushed: {error.strerror}")


def write_checksums(root: Path) -> None:
    """Write `<checkpoint>.sha256` (as `sha256sum` does) beside each that has none yet."""
    for checkpoint in all_below(root):
        sidecar = checkpoint.with_name(checkpoint.name + CHECKSUM_SUFFIX)
        with contextlib.suppress(FileNotFoundError):  # training removes the old ones
            if not _is_newer(sidecar, checkpoint):
                write_text(sidecar, f"{_digest(checkpoint)}  {checkpoint.name}\n")
    for sidecar in (root / "runs").rglob(f"*.pt{CHECKSUM_SUFFIX}"):
        if not sidecar.with_suffix("").exists():
            sidecar.unlink()


def remove_damaged(root: Path) -> list[str]:
    """Remove checkpoints that differ from their checksum; training takes the one before.

    Returns:
        What was removed, as paths below the scene.
    """
    removed = []
    for checkpoint in all_below(root):
        sidecar = checkpoint.with_name(checkpoint.name + CHECKSUM_SUFFIX)
        if not sidecar.exists():
            continue
        if sidecar.read_text(encoding="utf-8").split(" ")[0].strip() != _digest(checkpoint):
            checkpoint.unlink()
            sidecar.unlink()
            removed.append(checkpoint.relative_to(root).as_posix())
    return removed


def _is_newer(sidecar: Path, checkpoint: Path) -> bool:
    return sidecar.exists() and sidecar.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_pointer(path: str) -> bool:
    return path.rpartition("/")[2] == POINTER
