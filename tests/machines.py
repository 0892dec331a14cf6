"""Machines that share no folder: a shard is a process of its own, its files go by the store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from maquette.agent.arguments import KEY_NAMES, Store
from maquette.agent.shard_run import MODULE
from maquette.agent.shard_store import ShardStore, StoreLauncher, shard_store
from maquette.scene.paths import Scene
from maquette.stages.commands import ShardCommand, ShardEnd
from maquette.storage.object_store import ObjectStore
from s3_server import KEYS

FOLDER = "{machine}"
VARIABLE = "MACHINES_BELOW"  # where the folders of machines lie, for `open_launcher`
_PAUSE_S = 0.05
_BEATS_S = 0.2

Watch = Callable[[ShardCommand, subprocess.Popen], None]


class Machines:
    """Starts each command on a machine, by turns; all run at once.

    Args:
        root: Each machine's folder lies below it.
        watch: Is told of each process that was started.
    """

    def __init__(
        self, root: Path, place: ShardStore, count: int = 2, watch: Watch | None = None
    ) -> None:
        self._root, self._place, self._count, self._watch = root, place, count, watch
        self.begun: list[str] = []
        self.running: dict[str, subprocess.Popen] = {}
        self.commands: list[ShardCommand] = []

    def start(self, commands: Sequence[ShardCommand]) -> None:
        for command in commands:
            program, *words = command.argv
            assert program == "maquette-shard"
            machine = self._root / f"machine-{len(self.begun) % self._count}"
            argv = [word.replace(FOLDER, str(machine)) for word in words]
            with open(command.log, "ab") as log:
                self.running[command.name] = subprocess.Popen(
                    [sys.executable, "-m", MODULE, *argv], stdout=log, stderr=log,
                    env={**os.environ, **self._place.keys},
                )  # fmt: skip
            self.begun.append(command.name)
            self.commands.append(command)
            if self._watch:
                self._watch(command, self.running[command.name])

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        deadline = time.monotonic() + limit_s
        while True:
            codes = {name: process.poll() for name, process in self.running.items()}
            ended = {name: code for name, code in codes.items() if code is not None}
            if ended or time.monotonic() > deadline:
                break
            threading.Event().wait(_PAUSE_S)
        for name in ended:
            del self.running[name]
        return [ShardEnd(name, c if c >= 0 else 128 - c, "machine") for name, c in ended.items()]

    def give_up(self, name: str) -> None:
        self.running.pop(name)

    def close(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait()


def place_of(bucket: ObjectStore) -> ShardStore:
    """The place of a bucket, as a step is told it."""
    store = Store(bucket.location.endpoint, bucket.location.region, bucket.name, bucket.prefix)
    keys = dict(zip(KEY_NAMES, (KEYS.access_key, KEYS.secret_key, ""), strict=True))
    return ShardStore(store, keys, FOLDER)


def launcher(machines: Machines, scene: Scene, place: ShardStore) -> StoreLauncher:
    """What has shards run there."""
    return StoreLauncher(machines, scene, place, _BEATS_S)


def open_launcher(scene: Scene) -> StoreLauncher:
    """What MAQUETTE_LAUNCHER=machines gives."""
    place = shard_store()
    assert place is not None
    return launcher(Machines(Path(os.environ[VARIABLE]), place), scene, place)
