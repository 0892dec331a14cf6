"""The driver's side of shards on machines that share no folder with it: all goes by the store.

`StoreLauncher` stands before the launcher of a cluster. What shards read is pushed first, as part
of the scene, whose one writer the driver's machine is; what they made is brought when they end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import PurePosixPath

from maquette.agent import shard_files, shard_task
from maquette.agent.arguments import KEY_NAMES, Arguments, Store
from maquette.agent.shard_run import opened
from maquette.agent.shard_task import SCENE, ShardTask
from maquette.errors import ConfigError, MaquetteError
from maquette.scene.atomic import write_text
from maquette.scene.paths import Scene
from maquette.stages.commands import LAUNCHER, Launcher, ShardCommand, ShardEnd
from maquette.stages.heartbeat import INTERVAL_S, SILENCE_S, repeating, sign_of_life
from maquette.stages.shards import Shard, inputs
from maquette.storage.object_store import ObjectStore

VARIABLE = "MAQUETTE_SHARD_STORE"  # of a step: where its shards' files go, and the keys
WORKERS_LAUNCHER = "maquette.agent.worker_launcher"


@dataclass(frozen=True)
class ShardStore:
    """The scene's place in a store.

    Attributes:
        keys: By the names of KEY_NAMES; for the environment of a shard's machine.
        folder: Where each machine keeps what its shards read.
        job: The driving job's id, where it has worker jobs.
        workers: How many.
        beat_s, silence_s: See `Arguments`.
    """

    store: Store
    keys: dict[str, str]
    folder: str
    job: str = ""
    workers: int = 0
    beat_s: float = INTERVAL_S
    silence_s: float = SILENCE_S

    def words(self) -> list[str]:
        """What a shard's command line tells of it; no secret."""
        told = self.store
        words = ["--store-endpoint", told.endpoint, "--store-region", told.region]
        words += ["--store-bucket", told.bucket, "--store-prefix", told.prefix]
        return words + ["--store-host-style"] * told.host_style

    def shard_words(self, record: str, attempt: int, interval_s: float) -> list[str]:
        """What `shard_run` is told, on any machine."""
        words = [*self.words(), "--folder", self.folder, "--record", record]
        return [*words, "--attempt", str(attempt), "--interval-s", f"{interval_s:g}"]

    def opened(self) -> ObjectStore:
        """Open it."""
        return opened(self.store, self.keys)


def variables(arguments: Arguments) -> dict[str, str]:
    """What an agent adds to the environment of its step, so that shards find its store."""
    if arguments.store is None or not arguments.shard_folder:
        return {}
    place = place_of(arguments)
    facts = {VARIABLE: json.dumps(asdict(place))}
    return facts | {LAUNCHER: WORKERS_LAUNCHER} if place.workers else facts


def place_of(arguments: Arguments) -> ShardStore:
    """The store of an agent whose scene comes by one."""
    assert arguments.store is not None
    keys = {name: arguments.secret(name) for name in KEY_NAMES}
    return ShardStore(
        arguments.store, keys, arguments.shard_folder, arguments.job, arguments.workers,
        arguments.beat_s, arguments.silence_s,
    )  # fmt: skip


@cache
def shard_store() -> ShardStore | None:
    """What the step was told, and no process of its own is; None: machines share a folder."""
    content = os.environ.pop(VARIABLE, "")
    if not content:
        return None
    facts = json.loads(content)
    return ShardStore(**{**facts, "store": Store(**facts["store"])})


class StoreLauncher:
    """Has shards run by a launcher whose machines see nothing of the scene's folder.

    Args:
        inner: Starts command lines, which begin with `maquette-shard`, see `shard_run`.
        place: Where the scene lies.
        interval_s: Between two looks at heartbeats.
    """

    def __init__(
        self, inner: Launcher, scene: Scene, place: ShardStore, interval_s: float = INTERVAL_S
    ) -> None:
        self._inner, self._scene, self._place = inner, scene, place
        self._interval_s = interval_s
        self._bucket = place.opened()
        self._running: dict[str, ShardCommand] = {}
        self._written: set[str] = set()
        self._seen: dict[str, str] = {}
        self._beating = ExitStack()

    def start(self, commands: Sequence[ShardCommand]) -> None:
        """Push what the shards read, tell what they are to do, and have them started."""
        tasks = [self._task(*pair) for pair in self._with_inputs(commands)]
        paths = [task.inputs for task in tasks]
        shared = None if None in paths else {path for each in paths if each for path in each}
        shard_files.share(self._scene.root, self._bucket, shared)
        for task in tasks:
            shard_task.write(self._bucket, task)
            self._written |= {shard_task.task_key(task.record), shard_task.beat_key(task.record)}
        key = shard_task.driver_key(tasks[0].record)
        folder = str(PurePosixPath(key).parent)
        self._look(folder, commands, is_first=True)
        self._running |= {command.name: command for command in commands}
        self._beat(folder, key)
        self._inner.start(
            [
                replace(each, argv=self._argv(task))
                for each, task in zip(commands, tasks, strict=True)
            ]
        )

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        """Those that ended, once all that they made is here; brings heartbeats too."""
        ends = self._inner.wait(limit_s)
        return [self._ended(end) for end in ends]

    def _ended(self, end: ShardEnd) -> ShardEnd:
        command = self._running.pop(end.name, None)
        if command is None:
            return end
        self._collect(_shard(command))
        if not end.lines or end.code == 0:
            return end
        with open(command.log, "a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in end.lines)
        return replace(end, lines=())

    def give_up(self, name: str) -> None:
        """Forget one that gives no sign of life: it finds that out, and writes nothing more."""
        self._running.pop(name, None)
        self._inner.give_up(name)

    def close(self) -> None:
        """End all that still run, and remove what was told."""
        self._beating.close()
        try:
            self._inner.close()
        finally:
            with suppress(MaquetteError):
                for path in sorted(self._written):
                    self._bucket.delete(path, attempts=1)
            self._bucket.close()

    def _with_inputs(
        self, commands: Sequence[ShardCommand]
    ) -> list[tuple[ShardCommand, Sequence[str] | None]]:
        return list(zip(commands, inputs([_shard(each) for each in commands]), strict=True))

    def _task(self, command: ShardCommand, read: Sequence[str] | None) -> ShardTask:
        """What a shard's machine is told; the options and the list of shards are inputs too.

        Raises:
            ConfigError: the command names a file outside the scene.
        """
        shard, root = _shard(command), str(self._scene.root)
        argv = [word.replace(root, SCENE, 1) for word in command.argv]
        options = argv[argv.index("--options") + 1]
        if not options.startswith(f"{SCENE}/"):
            raise ConfigError(
                f"the options of a step whose shards go by the store lie outside the scene: "
                f"`{options}`",
                hint=f"put them below `{root}`",
            )
        record = self._scene.relative(shard.record)
        listed = str(PurePosixPath(record).parent / "shards.json")
        told = None if read is None else [*read, options.removeprefix(f"{SCENE}/"), listed]
        return ShardTask(self._scene.name, argv, told, record, command.attempt)

    def _argv(self, task: ShardTask) -> tuple[str, ...]:
        words = self._place.shard_words(task.record, task.attempt, self._interval_s)
        return ("maquette-shard", *words)

    def _beat(self, folder: str, key: str) -> None:
        """Give signs of life from now on, and look at those of the shards."""
        if key in self._written:
            return
        self._written.add(key)

        def beat(count: int) -> None:
            with suppress(MaquetteError):
                shard_task.put(self._bucket, key, sign_of_life(count))
                self._look(folder, list(self._running.values()))

        self._beating.enter_context(repeating(beat, self._interval_s))

    def _look(self, folder: str, commands: Sequence[ShardCommand], is_first: bool = False) -> None:
        """Copy heartbeats to where they are watched.

        Args:
            is_first: What is there now is of an earlier driver's or attempt's.
        """
        place = self._bucket.at(self._bucket.name, self._bucket.key(folder))
        etags = {name: found.etag for name, found in (place.objects() or {}).items()}
        if is_first:
            self._written |= {f"{folder}/{name}" for name in etags}  # goes with ours
        for command in commands:
            shard = _shard(command)
            key = shard_task.beat_key(self._scene.relative(shard.record))
            etag = etags.get(PurePosixPath(key).name, "")
            if etag and etag != self._seen.get(key):
                self._seen[key] = etag
                if not is_first:
                    with suppress(OSError):
                        write_text(shard.heartbeat, shard_task.text(self._bucket, key))

    def _collect(self, shard: Shard) -> None:
        """Bring what a shard made, if it was done for what we asked."""
        shard.heartbeat.unlink(missing_ok=True)
        record = self._scene.relative(shard.record)
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(shard_task.text(self._bucket, record))
            if found["key"] == shard.key:
                shard_files.bring(self._scene.root, self._bucket, {*found["outputs"], record})


def _shard(command: ShardCommand) -> Shard:
    assert command.shard is not None
    return command.shard
