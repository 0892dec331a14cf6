"""How a stage whose work falls into parts runs them: side by side, each done once and for all.

A shard writes only its own files and its own record, `stages/<owner>/<stage>/<i>-of-<n>.json`, so
two workers never write one file. A stage that was killed goes on with the shards it lacks.
"""

from __future__ import annotations

import importlib
import io
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.errors import Interrupted, MaquetteError, from_exit_code
from maquette.pipelines.options import StepOptions
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Sharding, Stage

Failure = dict[str, Any]
Executor = Callable[[Callable[[Any], Any], Sequence[Any], int], Generator[Any, None, None]]


@dataclass(frozen=True)
class Shard:
    """One part of a stage's work, so that any process can do it.

    Attributes:
        module: Where the stage's STAGE is.
        owner: Whose record it gets: the pipeline, or COMMON.
        key: The stage's content key; a shard of another one does not count.
        index, count: Which part it is, from 0, and how many there are.
        item: What `split` said of it.
    """

    module: str
    scene: Scene
    owner: str
    options: StepOptions
    key: str
    index: int
    count: int
    item: Any

    @property
    def record(self) -> Path:
        """Where it is written down that this shard is done."""
        stage = self.module.rpartition(".")[2]
        folder = self.scene.records(self.owner) / stage
        return folder / f"{self.index + 1}-of-{self.count}.json"


def run_shards(
    stage: Stage, scene: Scene, owner: str, options: StepOptions, key: str,
    progress: Progress, executor: Executor,
) -> Report:  # fmt: skip
    """Run the shards that are not done yet, then merge what all of them made.

    Args:
        key: The stage's content key.
        executor: Does a function on each of some values, in so many processes, and yields what it
            returns as it comes; used where `options.workers` asks for more than one.

    Raises:
        MaquetteError: a shard failed; all others are done, and stay done.
    """
    assert isinstance(stage.run, Sharding)
    declared = DeclaredOptions(stage, options)
    items = stage.run.split(scene, declared)
    module = stage.run.split.__module__
    shards = [
        Shard(module, scene, owner, options, key, index, len(items), item)
        for index, item in enumerate(items)
    ]
    missing = [shard for shard in shards if not is_done(shard)]
    done = len(shards) - len(missing)
    progress.step("shards", done, len(shards))
    failures = []
    for failure in _failures(missing, progress, executor, getattr(options, "workers", 1)):
        failures += [failure] if failure else []
        done += 1
        progress.step("shards", done, len(shards))
    if failures:
        first, *others = failures
        count = f"{1 + len(others)} of {len(shards)} shards failed, the others are done"
        told = (first["detail"], count if len(shards) > 1 else "")
        detail = "\n".join(filter(None, told))
        raise from_exit_code(**{**first, "detail": detail})
    return stage.run.merge(scene, declared, progress)


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


def _failures(
    shards: Sequence[Shard], progress: Progress, executor: Executor, workers: int
) -> Iterator[Failure | None]:
    """Do the shards; for each, when it ends, how it failed or None."""
    if workers == 1 or len(shards) < 2:
        for shard in shards:
            yield _try(shard, progress)
        return
    with closing(executor(_try_apart, shards, workers)) as results:
        yield from results


def _try_apart(shard: Shard) -> Failure | None:
    return _try(shard, Progress(log=io.StringIO()))  # the process that waits tells how far all is


def _try(shard: Shard, progress: Progress) -> Failure | None:
    try:
        _work(shard, progress)
    except Interrupted:
        raise
    except MaquetteError as error:
        return {"code": int(error.exit_code), "what": error.what, "detail": error.detail,
                "hint": error.hint}  # fmt: skip
    return None


def _work(shard: Shard, progress: Progress) -> None:
    stage: Stage = importlib.import_module(shard.module).STAGE
    assert isinstance(stage.run, Sharding)
    clock = time.monotonic()
    options = DeclaredOptions(stage, shard.options)
    made = stage.run.run(shard.scene, options, shard.item, progress)
    outputs = {shard.scene.relative(path): path.stat().st_size for path in made}
    wall_s = round(time.monotonic() - clock, 3)
    shard.record.parent.mkdir(parents=True, exist_ok=True)
    write_json(shard.record, {"key": shard.key, "outputs": outputs, "wall_s": wall_s})
