"""A launcher that runs the commands of shards here, one after the other, or lets them fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from maquette.scene.paths import Scene
from maquette.stages.commands import ShardCommand, ShardEnd

Run = Callable[[ShardCommand], int | None]


def run_as_process(command: ShardCommand) -> int:
    """Run a shard's command as a process of this machine; returns its exit code."""
    program, *words = command.argv
    assert program == "maquette-step"
    with open(command.log, "ab") as log:
        argv = [sys.executable, "-m", "maquette.recon.step", *words]
        return subprocess.run(argv, stdout=log, stderr=log, check=False).returncode


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
