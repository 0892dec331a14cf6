"""A shard: one part of a stage's work, which any process that sees the scene can do."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.errors import Interrupted, MaquetteError
from maquette.pipelines.options import StepOptions
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Needs, Sharding, Stage

Failure = dict[str, Any]
NO_NEEDS = Needs()


@dataclass(frozen=True)
class Shard:
    """One part of a stage's work, so that any process can do it.

    Attributes:
        module: Where the stage's STAGE is.
        owner: Whose record it gets: the pipeline, or COMMON.
        key: What it is made of: the stage's content key and the item. A record of another one does
            not count.
        index, count: Which part it is, from 0, and how many there are.
        item: What `split` said of it.
        cost: How much work it is beside the others.
        needs: What a machine must have for it.
    """

    module: str
    scene: Scene
    owner: str
    options: StepOptions
    key: str
    index: int
    count: int
    item: Any
    cost: float = 1.0
    needs: Needs = NO_NEEDS

    @property
    def name(self) -> str:
        """How a command line names it: `depthmaps:3` is the third."""
        return f"{self._stage}:{self.index + 1}"

    @property
    def record(self) -> Path:
        """Where it is written down that this shard is done."""
        return self._beside(".json")

    @property
    def heartbeat(self) -> Path:
        """What a shard that runs apart changes again and again, see `heartbeat.py`."""
        return self._beside(".beat")

    @property
    def log(self) -> Path:
        """What a shard that runs apart writes to its terminal."""
        return self._beside(".log")

    @property
    def _stage(self) -> str:
        return self.module.rpartition(".")[2]

    def _beside(self, suffix: str) -> Path:
        folder = self.scene.records(self.owner) / self._stage
        return folder / f"{self.index + 1}-of-{self.count}{suffix}"


def is_done(shard: Shard) -> bool:
    """Whether a shard was finished for this key, and all that it made is still there."""
    try:
        record = json.loads(shard.record.read_text(encoding="utf-8"))
        return record["key"] == shard.key and all(
            (shard.scene.root / path).stat().st_size == size
            for path, size in record["outputs"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def attempt(shard: Shard, progress: Progress) -> Failure | None:
    """Do a shard; how it failed, or None."""
    try:
        do(shard, progress)
    except Interrupted:
        raise
    except MaquetteError as error:
        return {"code": int(error.exit_code), "what": error.what, "detail": error.detail,
                "hint": error.hint}  # fmt: skip
    return None


def inputs(shards: Sequence[Shard]) -> list[Sequence[str] | None]:
    """What each of some shards of one stage reads, as paths below the scene; None: anything."""
    if not shards:
        return []
    stage, one = _stage_of(shards[0]), shards[0]
    assert isinstance(stage.run, Sharding)
    if stage.run.inputs is None:
        return [None] * len(shards)
    options = DeclaredOptions(stage, one.options)
    found = stage.run.inputs(one.scene, options, [shard.item for shard in shards])
    return [
        sorted({one.scene.relative(path) for path in files if path.is_file()}) for files in found
    ]


def _stage_of(shard: Shard) -> Stage:
    stage: Stage = importlib.import_module(shard.module).STAGE
    return stage


def do(shard: Shard, progress: Progress) -> None:
    """Do a shard and write its record.

    Raises:
        MaquetteError: it failed.
    """
    stage = _stage_of(shard)
    assert isinstance(stage.run, Sharding)
    clock = time.monotonic()
    options = DeclaredOptions(stage, shard.options)
    made = stage.run.run(shard.scene, options, shard.item, progress)
    outputs = {shard.scene.relative(path): path.stat().st_size for path in made}
    wall_s = round(time.monotonic() - clock, 3)
    write_json(shard.record, {"key": shard.key, "outputs": outputs, "wall_s": wall_s})
