"""Shards as tasks of job arrays: what a step that runs on a cluster spreads its work with."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from maquette.errors import ConfigError, ExitCode, Unanswered
from maquette.jobs.states import has_ended
from maquette.runners.slurm import client
from maquette.runners.slurm.arrays import BLIND_NODE, LARGEST, VARIABLE, ArrayOptions, script
from maquette.runners.slurm.rows import Row
from maquette.runners.slurm.states import STATES
from maquette.scene.events import LOG_PREFIX
from maquette.scene.paths import Scene
from maquette.stages.commands import ShardCommand, ShardEnd

ASK_EVERY_S = 2.0
_GONE_AFTER = 3  # questions that do not find a task
_PAUSE_S = 0.1
# Ends that are the machine's, or somebody's who took it away: another may do the shard.
_LOST = frozenset({"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "CANCELLED", "REVOKED"})
_KILLED = {"OUT_OF_MEMORY": 137, "TIMEOUT": 143, "DEADLINE": 143}


def open_launcher(scene: Scene) -> SlurmLauncher:
    """What `MAQUETTE_LAUNCHER` names; ends what an earlier start of the same step left behind.

    Raises:
        ConfigError: this process is no step of a job of ours.
    """
    if VARIABLE not in os.environ:
        raise ConfigError(f"{VARIABLE} is not set: it comes with a step's batch job")
    options = ArrayOptions.from_text(os.environ[VARIABLE])
    client.remove_named(options.name)
    return SlurmLauncher(options)


class SlurmLauncher:
    """Submits shards as tasks of arrays and asks Slurm how they are."""

    def __init__(self, options: ArrayOptions) -> None:
        self._options = options
        self._tasks: dict[str, ShardCommand] = {}
        self._unseen: dict[str, int] = {}
        self._asked_at = float("-inf")

    def start(self, commands: Sequence[ShardCommand]) -> None:
        """Submit an array; the first commands start first.

        Raises:
            MaquetteError: Slurm refuses it.
        """
        for first in range(0, len(commands), LARGEST):
            part = commands[first : first + LARGEST]
            number = client.sbatch(self._options.argv(len(part)), script(part))
            self._tasks |= {f"{number}_{index}": command for index, command in enumerate(part)}

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        """The tasks that ended since the last call; a controller that is away is borne with."""
        deadline = time.monotonic() + limit_s
        while self._tasks:
            if time.monotonic() - self._asked_at >= ASK_EVERY_S:
                self._asked_at = time.monotonic()
                with suppress(Unanswered):
                    if ends := self._ends():
                        return ends
            if time.monotonic() >= deadline:
                break
            threading.Event().wait(_PAUSE_S)
        return []

    def give_up(self, name: str) -> None:
        """Cancel a task that gives no sign of life."""
        gone = [task for task, command in self._tasks.items() if command.name == name]
        client.remove(gone)
        for task in gone:
            del self._tasks[task]

    def close(self) -> None:
        """Cancel all that wait or run: each is asked to stop, and killed when it does not."""
        client.remove(sorted({task.partition("_")[0] for task in self._tasks}))
        self._tasks = {}

    def _ends(self) -> list[ShardEnd]:
        rows = client.jobs({task.partition("_")[0] for task in self._tasks})
        ends = []
        for task in list(self._tasks):
            row = rows.get(task)
            self._unseen[task] = 0 if row else self._unseen.get(task, 0) + 1
            if (row and has_ended({"state": STATES.get(row.word)})) or (
                self._unseen[task] >= _GONE_AFTER
            ):
                ends.append(_end(self._tasks.pop(task), row))
        return ends


def _end(command: ShardCommand, row: Row | None) -> ShardEnd:
    """How a task ended; one that Slurm forgot, or that was taken away, counts as lost."""
    if row is None or row.word in _LOST:
        return ShardEnd(command.name, None, row.node if row else "")
    if row.code == BLIND_NODE and not command.log.exists():
        _tell_unseen(command, row.node)
    return ShardEnd(command.name, _KILLED.get(row.word, row.code), row.node)


def _tell_unseen(command: ShardCommand, node: str) -> None:
    """Say in a shard's log what its node could not: it does not see the folder of the log."""
    event = {
        "event": "error",
        "what": f"the node {node} does not see `{command.log.parent}`",
        "detail": "",
        "hint": "put the scenes on a folder that all nodes share",
        "code": int(ExitCode.NOT_FOUND),
    }
    with suppress(OSError):
        command.log.write_text(f"{LOG_PREFIX}{json.dumps(event)}\n", encoding="utf-8")
