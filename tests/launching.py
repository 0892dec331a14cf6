"""Shards that run here, by turns: as commands that may fail, or each in a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from maquette.recon import stopping
from maquette.recon.step import main
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import ShardCommand, ShardEnd
from maquette.stages.sharding import Executor
from maquette.stages.shards import Failure, Shard, attempt, inputs

Run = Callable[[ShardCommand], int | None]


def run_as_process(command: ShardCommand) -> int:
    """Run a shard's command as a process of this machine; returns its exit code."""
    program, *words = command.argv
    assert program == "maquette-step"
    with open(command.log, "ab") as log:
        argv = [sys.executable, "-m", "maquette.recon.step", *words]
        return subprocess.run(argv, stdout=log, stderr=log, check=False).returncode


def run_here(command: ShardCommand) -> int:
    """The same in this process, without what a start costs."""
    program, *words = command.argv
    assert program == "maquette-step"
    with (
        open(command.log, "a") as log, redirect_stdout(log), redirect_stderr(log),
        patch.object(stopping, "install"),  # signals stay the tests'
    ):  # fmt: skip
        return main(words)


class OneByOne:
    """Runs what was started, one command at each question.

    Args:
        run: Does it; None: its machine is lost.
    """

    def __init__(self, run: Run = run_as_process) -> None:
        self._run = run
        self.waiting: list[ShardCommand] = []
        self.given_up: list[str] = []
        self.is_closed = False

    def start(self, commands: Sequence[ShardCommand]) -> None:
        self.waiting += commands

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        if not self.waiting:
            return []
        command = self.waiting.pop(0)
        return [ShardEnd(command.name, self._run(command), "node-1")]

    def give_up(self, name: str) -> None:
        self.given_up.append(name)

    def close(self) -> None:
        self.is_closed = True


def open_launcher(scene: Scene) -> OneByOne:
    """What MAQUETTE_LAUNCHER=launching gives."""
    return OneByOne()


def apart(folder: Path) -> Executor:
    """Who does each shard in a folder of its declared inputs alone, and brings what it made."""

    def run(
        shards: Sequence[Shard], workers: int, progress: Progress
    ) -> Generator[Failure | None, None, None]:
        for shard, names in zip(shards, inputs(shards), strict=True):
            assert names, "it declares what it reads"
            own = Scene(folder / shard.name / shard.scene.name, shard.scene.pipeline)
            listed = shard.scene.relative(shard.record.with_name("shards.json"))
            _copy([*names, listed], shard.scene.root, own.root)
            failure = attempt(replace(shard, scene=own), progress)
            record = shard.scene.relative(shard.record)
            made = json.loads((own.root / record).read_text())["outputs"]
            _copy([*made, record], own.root, shard.scene.root)
            yield failure

    return run


def _copy(names: Iterable[str], source: Path, target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name)
