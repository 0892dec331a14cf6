"""Shards of a driving job: done by its worker jobs, and by this machine, which is paid anyhow.

A worker that is lost costs the shard at work, which another gets. Where no worker is there, this
machine does them all, one after the other.
"""

from __future__ import annotations

import collections
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from maquette.agent import worker_notes
from maquette.agent.shard_process import ShardProcess
from maquette.agent.shard_store import ShardStore, StoreLauncher, shard_store
from maquette.agent.worker_notes import Assignment, WorkerState
from maquette.errors import ConfigError, MaquetteError
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import LAUNCHER, TRY_AGAIN, Launcher, ShardCommand, ShardEnd
from maquette.stages.heartbeat import SILENCE_S, Pulse
from maquette.storage.object_store import ObjectStore

_LOOK_S = 2.0
_PAUSE_S = 0.1
_HERE = "the driver"


def open_launcher(scene: Scene) -> Launcher:
    """What an agent with worker jobs has its step use.

    Raises:
        ConfigError: this process is no step of such an agent.
    """
    place = shard_store()
    if place is None or not place.workers:
        raise ConfigError(
            "this step has no worker jobs: it was started by no agent that has some",
            hint=f"leave {LAUNCHER} out: processes of this machine do the work then",
        )
    return StoreLauncher(WorkerLauncher(scene, place), scene, place, place.beat_s)


class WorkerLauncher:
    """Hands shards to those workers that are there and wait, and does one at a time itself."""

    def __init__(self, scene: Scene, place: ShardStore) -> None:
        self._scene, self._place = scene, place
        self._bucket = place.opened()
        self._workers = [
            Worker(self._bucket, place.job, number, place.silence_s)
            for number in range(1, place.workers + 1)
        ]
        self._queue: collections.deque[ShardCommand] = collections.deque()
        self._own: tuple[ShardCommand, ShardProcess] | None = None
        self._look_s, self._looked_at = min(_LOOK_S, place.beat_s), float("-inf")
        self._done: collections.Counter[str] = collections.Counter()

    def start(self, commands: Sequence[ShardCommand]) -> None:
        """Take the commands in; who has time gets the first."""
        self._queue += commands
        self._hand_out()

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        """Those that ended since the last call, on whatever machine."""
        deadline = time.monotonic() + limit_s
        while True:
            ends = [*self._ends_here(), *self._ends_of_workers()]
            self._hand_out()
            if ends or time.monotonic() > deadline:
                self._done.update(end.where for end in ends if end.code == 0)
                return ends
            threading.Event().wait(_PAUSE_S)

    def give_up(self, name: str) -> None:
        """Forget a shard; who is at it finds that out."""
        self._queue = collections.deque(one for one in self._queue if one.name != name)
        for worker in self._workers:
            if worker.command and worker.command.name == name:
                worker.forget()
        if self._own and self._own[0].name == name:
            self._own[1].end()
            self._own = None

    def close(self) -> None:
        """End what runs here, ask the workers for nothing more, and say who did how much."""
        if self._own:
            self._own[1].end()
        for worker in self._workers:
            worker.forget()
        self._bucket.close()
        told = [f"{count} by {where}" for where, count in sorted(self._done.items())]
        if told:
            Progress(None).say(f"shards that were done: {', '.join(told)}")

    def _ends_here(self) -> list[ShardEnd]:
        if self._own is None or (code := self._own[1].code()) is None:
            return []
        command, process = self._own
        self._own = None
        end = ShardEnd(command.name, code, _HERE, process.lines())
        process.end()
        return [end]

    def _ends_of_workers(self) -> list[ShardEnd]:
        if time.monotonic() - self._looked_at < self._look_s:
            return []
        ends = [end for worker in self._workers if (end := worker.look())]
        self._looked_at = time.monotonic()
        return ends

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._queue and worker.is_free:
                with suppress(MaquetteError):
                    worker.ask(self._queue[0], self._record(self._queue[0]))
                    self._queue.popleft()
        if self._queue and self._own is None:
            command = self._queue.popleft()
            self._own = command, ShardProcess(command.argv[1:], self._place.keys)

    def _record(self, command: ShardCommand) -> str:
        assert command.shard is not None
        return self._scene.relative(command.shard.record)


@dataclass(frozen=True)
class _Asked:
    """A shard that a worker was asked for."""

    command: ShardCommand
    id: str


class Worker:
    """One worker job, as its driver sees it.

    Args:
        silence_s: It is lost when it gives no sign of life for so long.
    """

    def __init__(
        self, bucket: ObjectStore, job: str, number: int, silence_s: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bucket, self._job, self._number = bucket, job, number
        self._earlier = self._text = self._read("")  # it may have been lost long ago
        self._pulse = Pulse(self._fresh, silence_s, clock)
        self._asked: _Asked | None = None
        self._is_there = self._is_unfit = False

    @property
    def command(self) -> ShardCommand | None:
        """What it was asked for."""
        return self._asked.command if self._asked else None

    @property
    def is_free(self) -> bool:
        """Whether it is there and waits for a shard."""
        is_idle = self._asked is None and not self._state.at
        return is_idle and self._is_there and not self._is_unfit

    def look(self) -> ShardEnd | None:
        """Read its sign of life; how its shard ended, if that did."""
        self._text = self._read(self._text)
        is_lost, state, asked = self._pulse.is_lost(), self._state, self._asked
        self._is_there = bool(self._fresh()) and not is_lost and not state.is_gone
        if asked is None:
            return None
        where = f"worker {self._number}" + (f" ({state.host})" if state.host else "")
        if state.ended == asked.id:
            self._is_unfit = state.code == TRY_AGAIN
            self.forget()
            return ShardEnd(asked.command.name, state.code, where, tuple(state.lines))
        if is_lost or state.is_gone:
            self.forget()
            return ShardEnd(asked.command.name, None, where)
        return None

    def ask(self, command: ShardCommand, record: str) -> None:
        """Ask it for a shard.

        Raises:
            MaquetteError: the store does not answer or refuses.
        """
        asked = _Asked(command, secrets.token_hex(4))
        told = Assignment(asked.id, record, command.attempt)
        worker_notes.assign(self._bucket, self._job, self._number, told)
        self._asked = asked

    def forget(self) -> None:
        """Ask it for nothing any more."""
        if self._asked:
            worker_notes.withdraw(self._bucket, self._job, self._number)
            self._asked = None

    @property
    def _state(self) -> WorkerState:
        return worker_notes.state_in(self._text)

    def _fresh(self) -> str:
        return self._text if self._text != self._earlier else ""

    def _read(self, known: str) -> str:
        """Its sign of life; what is known of it, where the store does not answer."""
        with suppress(MaquetteError):
            return worker_notes.told_by(self._bucket, self._job, self._number)
        return known
