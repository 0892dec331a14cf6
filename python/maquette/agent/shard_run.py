"""One shard on a machine that shares no folder with the driver: bring, run, hand in.

    python -m maquette.agent.shard_run --store-… --folder DIR --record stages/…/3-of-8.json …

It writes what the shard made, then the shard's record: all else of the scene is the driver's. Keys
come by the environment. Several may share a folder: what they read is kept there, and each shard
runs in a folder of its own that holds its inputs alone.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from maquette.agent import kept_scenes, shard_files, shard_task
from maquette.agent.arguments import KEY_NAMES, Store, without_secrets
from maquette.agent.pins import link
from maquette.agent.shard_task import SCENE, ShardTask
from maquette.agent.step_process import (
    SignalRequests,
    StepProcess,
    adopt_orphans,
    supervise,
    with_python,
)
from maquette.errors import ExitCode, JobFailed, MaquetteError, from_os_error
from maquette.scene.events import Progress
from maquette.stages.commands import TRY_AGAIN
from maquette.stages.heartbeat import SILENCE_S, Pulse, repeating, sign_of_life
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.signing import Credentials

MODULE = "maquette.agent.shard_run"
_GRACE_S = 30.0


class ShardRun:
    """One attempt at a shard.

    Args:
        folder: Where this machine keeps what shards read.
        record: The shard's, below the scene.
        interval_s: Between two heartbeats.
        silence_s: A driver whose heart stands still for so long is gone.
    """

    def __init__(
        self, bucket: ObjectStore, folder: Path, record: str, attempt: int,
        interval_s: float, silence_s: float = SILENCE_S,
    ) -> None:  # fmt: skip
        self._bucket, self._kept = bucket, folder
        self._place = folder / bucket.name / bucket.prefix
        self._record, self._attempt, self._interval_s = record, attempt, interval_s
        driver = shard_task.driver_key(record)
        self._driver = Pulse(lambda: shard_task.text(bucket, driver), silence_s)
        self._requests = SignalRequests()
        self._given_up = threading.Event()

    def run(self) -> int:
        """Do it; returns the exit code, TRY_AGAIN where another machine may do it.

        Raises:
            MaquetteError: the store refuses, or lacks what the shard reads.
        """
        task = self._task()
        if task is None:
            return ExitCode.INTERRUPTED
        in_use = kept_scenes.in_use(self._kept, self._place)
        with repeating(self._beat, self._interval_s), in_use:
            known = self._place / kept_scenes.KNOWN
            shard_files.bring(known, self._bucket, task.inputs)
            with own_folder(self._place / kept_scenes.WORK) as place:
                scene = place / task.scene
                lay_out(known, scene, task.inputs)
                code = self._step(task, scene)
                return self._hand_in(scene) if code == ExitCode.OK else code

    def _task(self) -> ShardTask | None:
        """The task, while this attempt is waited for."""
        task = shard_task.read(self._bucket, self._record)
        return task if task and task.attempt == self._attempt else None

    def _beat(self, count: int) -> None:
        """Give a sign of life, and look whether anybody waits for it."""
        with suppress(MaquetteError):
            shard_task.put(self._bucket, shard_task.beat_key(self._record), sign_of_life(count))
            if self._task() is None or self._driver.is_lost():
                self._given_up.set()

    def _step(self, task: ShardTask, scene: Path) -> int:
        argv = with_python([word.replace(SCENE, str(scene)) for word in task.argv])

        def tick() -> None:
            self._requests.stop |= self._given_up.is_set()

        step = StepProcess(argv, without_secrets(os.environ))
        try:
            result = supervise(step, self._requests, None, _GRACE_S, tick)
        finally:
            step.sweep()
        return ExitCode.INTERRUPTED if result.stopped and result.code else result.code

    def _hand_in(self, scene: Path) -> int:
        """Write what the shard made, then its record, if it is still waited for."""
        made = json.loads((scene / self._record).read_text(encoding="utf-8"))["outputs"]
        for paths in (list(made), [self._record]):
            if self._task() is None:
                return ExitCode.INTERRUPTED
            shard_files.hand_in(scene, self._bucket, paths)
        return ExitCode.OK


@contextmanager
def own_folder(work: Path) -> Iterator[Path]:
    """A new folder below `work` that goes at the end; those of killed processes go before."""
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work):
        for left in work.iterdir():
            with suppress(BlockingIOError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        place = Path(tempfile.mkdtemp(dir=work))
        held = ExitStack()
        held.enter_context(_locked(place))
    with held:
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    """Hold a folder alone; the system lets go of it when this process ends in any way."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(handle)


def lay_out(known: Path, scene: Path, inputs: Sequence[str] | None) -> None:
    """Make a scene of its inputs alone; a database is copied: SQLite keeps notes beside it."""
    names = inputs
    if names is None:
        files = (path.relative_to(known) for path in known.rglob("*") if path.is_file())
        names = [path.as_posix() for path in files if path.parts[0] != ".maquette"]
    scene.mkdir()
    for name in names:
        target = scene / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (shutil.copy2 if target.suffix == ".db" else link)(known / name, target)


def main(argv: Sequence[str] | None = None) -> int:
    """Do a shard; returns the exit code."""
    given = _parser().parse_args(argv)
    store = Store(
        given.store_endpoint, given.store_region, given.store_bucket, given.store_prefix,
        given.store_host_style,
    )  # fmt: skip
    adopt_orphans()
    try:
        bucket = opened(store, os.environ)
        try:
            shard = given.record, given.attempt, given.interval_s, given.silence_s
            return int(ShardRun(bucket, given.folder.expanduser().absolute(), *shard).run())
        finally:
            bucket.close()
    except (MaquetteError, OSError) as error:
        return _failed(error)


def opened(store: Store, keys: Mapping[str, str]) -> ObjectStore:
    """Open the scene's place with keys by the names of KEY_NAMES."""
    access, secret, token = (keys.get(name, "") for name in KEY_NAMES)
    location = StoreLocation(store.endpoint, store.region, store.host_style)
    return open_store(location, Credentials(access, secret, token), store.bucket, store.prefix)


def _failed(error: MaquetteError | OSError) -> int:
    """Say it; a store that does not answer and a full disk are the machine's fault."""
    if isinstance(error, OSError):
        error = from_os_error(error, "doing a shard")
    code = Progress(None).failed(error)
    return TRY_AGAIN if isinstance(error, JobFailed) else code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    add = parser.add_argument
    add("--store-endpoint", required=True, help="https://… of the S3 store")
    add("--store-region", default="us-east-1")
    add("--store-bucket", required=True)
    add("--store-prefix", required=True, help="the scene's place in the bucket")
    add("--store-host-style", action="store_true", help="buckets are host names")
    add("--folder", type=Path, required=True, help="where this machine keeps what shards read")
    add("--record", required=True, help="the shard's record, below the scene")
    add("--attempt", type=int, required=True, help="from 1")
    add("--interval-s", type=float, default=10.0, help="between two heartbeats")
    add("--silence-s", type=float, default=SILENCE_S, help="a driver silent so long is gone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
