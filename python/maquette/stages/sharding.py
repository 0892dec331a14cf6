"""How a stage whose work falls into parts runs them: side by side, each done once and for all.

A shard writes only its own files and its own record, `stages/<owner>/<stage>/<i>-of-<n>.json`, so
two workers never write one file. A stage that was killed goes on with the shards it lacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, Protocol

from maquette.errors import from_exit_code
from maquette.pipelines.options import StepOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages import shard_list
from maquette.stages.shards import Failure, Shard, attempt, is_done
from maquette.stages.stage import DeclaredOptions, Report, Sharding, Stage


class Executor(Protocol):
    """Who runs shards: this process, others of this machine, or a cluster."""

    def __call__(
        self, shards: Sequence[Shard], workers: int, progress: Progress
    ) -> Generator[Failure | None, None, None]:
        """Do the shards; for each, when it ends, how it failed or None.

        Args:
            workers: How many processes of one machine may share the work.

        Raises:
            Interrupted: a stop was requested; what is done stays done.
        """


def one_by_one(
    shards: Sequence[Shard], workers: int, progress: Progress
) -> Generator[Failure | None, None, None]:
    """The executor that needs no process beside this one."""
    for shard in shards:
        yield attempt(shard, progress)


def run_shards(
    stage: Stage, scene: Scene, owner: str, options: StepOptions, key: str,
    progress: Progress, executor: Executor,
) -> Report:  # fmt: skip
    """Run the shards that are not done yet, then merge what all of them made.

    Args:
        key: The stage's content key.

    Raises:
        MaquetteError: a shard failed; all others are done, and stay done.
    """
    assert isinstance(stage.run, Sharding)
    shards = shards_of(stage, scene, owner, options, key)
    shard_list.write(stage, scene, owner, options, shards)
    missing = [shard for shard in shards if not is_done(shard)]
    done = len(shards) - len(missing)
    progress.step("shards", done, len(shards))
    failures = []
    with closing(executor(missing, getattr(options, "workers", 1), progress)) as ends:
        for failure in ends:
            failures += [failure] if failure else []
            done += 1
            progress.step("shards", done, len(shards))
    if failures:
        first, *others = failures
        count = f"{1 + len(others)} of {len(shards)} shards failed, the others are done"
        told = (first["detail"], count if len(shards) > 1 else "")
        detail = "\n".join(filter(None, told))
        raise from_exit_code(**{**first, "detail": detail})
    return stage.run.merge(scene, DeclaredOptions(stage, options), progress)


def shards_of(
    stage: Stage, scene: Scene, owner: str, options: StepOptions, key: str
) -> list[Shard]:
    """All shards of a stage, done or not, in order."""
    assert isinstance(stage.run, Sharding)
    declared = DeclaredOptions(stage, options)
    items, needs = stage.run.split(scene, declared), stage.run.needs(declared)
    module, cost, own = stage.run.split.__module__, stage.run.cost, stage.own_options(options)
    return [
        Shard(module, scene, owner, own, _key(key, item), index, len(items), item, cost(item),
              needs)
        for index, item in enumerate(items)
    ]  # fmt: skip


def _key(stage_key: str, item: Any) -> str:
    """The same stage may be cut otherwise another time: the item is part of it."""
    return hashlib.sha256(json.dumps([stage_key, item]).encode()).hexdigest()
