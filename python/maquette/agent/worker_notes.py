"""What a driving job and its worker jobs tell one another through the store.

It lies in `.maquette/shards/workers/<job>/` below the scene's prefix, which no sync moves. Each
object has one writer: `driver.beat` the driver's agent, `<n>.task` the driver's step, and
`<n>.beat` worker n.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from maquette.agent import shard_task
from maquette.errors import MaquetteError
from maquette.scene.paths import OWN_FOLDER
from maquette.stages.heartbeat import repeating, sign_of_life
from maquette.storage.object_store import ObjectStore


@dataclass(frozen=True)
class Assignment:
    """An attempt at a shard that one worker is asked for.

    Attributes:
        id: Of this request: the same attempt may be asked for again after a step began anew.
        record: The shard's, below the scene.
        attempt: From 1.
    """

    id: str
    record: str
    attempt: int


@dataclass(frozen=True)
class WorkerState:
    """What a worker tells of itself.

    Attributes:
        at: The assignment that it is at; "" while it waits.
        ended: The last one that ended.
        code: How that ended, as shells write it.
        lines: The last lines that it wrote.
        is_gone: The worker has ended.
    """

    beat: int = 0
    host: str = ""
    pid: int = 0
    at: str = ""
    ended: str = ""
    code: int = 0
    lines: tuple[str, ...] = ()
    is_gone: bool = False


def folder(job: str) -> str:
    """Where all of a job's notes lie."""
    return f"{OWN_FOLDER}/shards/workers/{job}"


def driver_key(job: str) -> str:
    """Where the driver's heartbeat lies."""
    return f"{folder(job)}/driver.beat"


def assign(bucket: ObjectStore, job: str, number: int, assignment: Assignment) -> None:
    """Ask a worker for a shard.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    shard_task.put(bucket, _task_key(job, number), asdict(assignment))


def assignment_of(bucket: ObjectStore, job: str, number: int) -> Assignment | None:
    """What a worker is asked for; None: nothing, or nothing that can be read.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    with suppress(ValueError, TypeError):
        return Assignment(**json.loads(shard_task.text(bucket, _task_key(job, number))))
    return None


def withdraw(bucket: ObjectStore, job: str, number: int) -> None:
    """Ask a worker for nothing any more; one that is at work ends by its shard's task."""
    with suppress(MaquetteError):
        bucket.delete(_task_key(job, number), attempts=1)


def tell(bucket: ObjectStore, job: str, number: int, state: WorkerState) -> None:
    """Write a worker's sign of life.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    shard_task.put(bucket, _beat_key(job, number), asdict(state))


def forget_unread(bucket: ObjectStore, job: str, number: int) -> None:
    """Remove a worker's last sign of life where no driver is there to read it.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    told = shard_task.text(bucket, driver_key(job))
    if not told or is_done(told):
        bucket.delete(_beat_key(job, number), attempts=1)


def told_by(bucket: ObjectStore, job: str, number: int) -> str:
    """A worker's last sign of life, see `state_in`; "" where there is none.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    return shard_task.text(bucket, _beat_key(job, number))


def state_in(text: str) -> WorkerState:
    """Read a worker's sign of life."""
    try:
        return WorkerState(**json.loads(text))
    except (ValueError, TypeError):
        return WorkerState()


@contextmanager
def driving(bucket: ObjectStore, job: str, interval_s: float) -> Iterator[None]:
    """Give signs of life to a job's workers while the block runs, then say that it is done."""

    def tell_driver(content: dict[str, Any]) -> None:
        with suppress(MaquetteError):
            shard_task.put(bucket, driver_key(job), content)

    try:
        with repeating(lambda count: tell_driver(sign_of_life(count)), interval_s):
            yield
    finally:
        tell_driver({"is_done": True})


def is_done(text: str) -> bool:
    """Whether a driver's heartbeat says that it needs no worker any more."""
    try:
        return bool(json.loads(text).get("is_done"))
    except (ValueError, AttributeError):
        return False


def _task_key(job: str, number: int) -> str:
    return f"{folder(job)}/{number}.task"


def _beat_key(job: str, number: int) -> str:
    return f"{folder(job)}/{number}.beat"
