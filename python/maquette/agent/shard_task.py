"""What a driver tells a shard's machine through the store, and a machine the driver.

It lies in `.maquette/shards/` below the scene's prefix, which no sync of a scene moves. The driver
alone writes `….task` and `driver.beat`, the machine at work alone `….beat`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from maquette.scene.paths import OWN_FOLDER
from maquette.storage.etags import new_md5
from maquette.storage.object_store import ObjectStore

SCENE = "{scene}"  # in a command line: the scene's folder on the machine


@dataclass(frozen=True)
class ShardTask:
    """One attempt at a shard.

    Attributes:
        scene: Its name, which the scene's folder has on every machine.
        argv: The command line, with SCENE for the folder.
        inputs: All that it reads, as paths below the scene; None: anything of it.
        record: Its record below the scene, which names all that it made.
        attempt: From 1; a machine that finds another one here is no longer waited for.
    """

    scene: str
    argv: Sequence[str]
    inputs: Sequence[str] | None
    record: str
    attempt: int


def write(bucket: ObjectStore, task: ShardTask) -> None:
    """Tell it.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    put(bucket, task_key(task.record), asdict(task))


def read(bucket: ObjectStore, record: str) -> ShardTask | None:
    """What is told of a shard; None where nobody waits for it.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    try:
        return ShardTask(**json.loads(text(bucket, task_key(record))))
    except (ValueError, TypeError):
        return None


def task_key(record: str) -> str:
    """Where the task of a shard lies."""
    return f"{_place(record)}.task"


def beat_key(record: str) -> str:
    """Where the heartbeat of a shard's machine lies."""
    return f"{_place(record)}.beat"


def driver_key(record: str) -> str:
    """Where the heartbeat of who waits for a shard, and for others of its stage, lies."""
    return f"{PurePosixPath(_place(record)).parent}/driver.beat"


def put(bucket: ObjectStore, path: str, content: dict[str, Any]) -> None:
    """Write a small object.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    data, digest = json.dumps(content).encode(), new_md5()
    digest.update(data)
    bucket.put(path, data, digest.digest(), digest.hexdigest(), {})


def text(bucket: ObjectStore, path: str) -> str:
    """Read a small object; "" where there is none.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    answer = bucket.get_if_changed(path, "")
    return bytes(answer.body).decode(errors="replace") if answer.status == 200 else ""


def _place(record: str) -> str:
    """`.maquette/shards/photogrammetry/depthmaps/3-of-8`."""
    return f"{OWN_FOLDER}/shards/{PurePosixPath(record).relative_to('stages').with_suffix('')}"
