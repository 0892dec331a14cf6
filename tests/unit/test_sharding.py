"""Shards are done once each, and a stage merges them when all are there."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from maquette.errors import ConfigError, Interrupted, JobFailed, NotFound
from maquette.pipelines.options import ShardedStepOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages import shard_list
from maquette.stages.sharding import Executor, one_by_one, run_shards
from maquette.stages.shards import Failure, Shard, is_done
from maquette.stages.stage import Report, Sharding, Stage

items = [10, 20, 30]
worked: list[int] = []
raising: dict[int, Exception] = {}


@dataclass(frozen=True)
class Options(ShardedStepOptions):
    """Of the stage here."""


def split(scene: Scene, options: Any) -> list[int]:
    return list(items)


def run(scene: Scene, options: Any, item: int, progress: Progress) -> Sequence[Path]:
    if item in raising:
        raise raising[item]
    worked.append(item)
    path = scene.root / f"{item}.txt"
    path.write_text(str(item))
    return [path]


def merge(scene: Scene, options: Any, progress: Progress) -> Report:
    total = sum(int((scene.root / f"{item}.txt").read_text()) for item in split(scene, options))
    return Report([], numbers={"total": total})


STAGE = Stage("test_sharding", version=1, run=Sharding(split, run, merge))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    worked.clear()
    raising.clear()
    items[:] = [10, 20, 30]
    return Scene(tmp_path, "toy")


def backwards(
    shards: Sequence[Shard], workers: int, progress: Progress
) -> Generator[Failure | None, None, None]:
    """An executor that does the last shard first."""
    yield from one_by_one(shards[::-1], workers, progress)


def attempt(scene: Scene, key: str = "k", executor: Executor = one_by_one) -> Report:
    return run_shards(STAGE, scene, "toy", Options(), key, Progress(), executor)


def test_each_is_done_once_in_any_order(scene: Scene) -> None:
    assert attempt(scene, executor=backwards).numbers == {"total": 60}
    assert worked == [30, 20, 10]
    assert attempt(scene).numbers == {"total": 60} and len(worked) == 3
    names = sorted(path.name for path in (scene.stages / "toy" / "test_sharding").iterdir())
    assert names == ["1-of-3.json", "2-of-3.json", "3-of-3.json", "shards.json"]


def test_only_what_is_missing_or_damaged_is_done_again(scene: Scene) -> None:
    attempt(scene)
    (scene.root / "20.txt").write_text("not whole")
    (scene.stages / "toy" / "test_sharding" / "3-of-3.json").write_text("{")
    assert attempt(scene).numbers == {"total": 60}
    assert worked == [10, 20, 30, 20, 30]


def test_shards_of_another_key_do_not_count(scene: Scene) -> None:
    attempt(scene)
    attempt(scene, "another")
    assert worked == [10, 20, 30] * 2


def test_work_that_is_cut_otherwise_is_done_again_where_its_parts_differ(scene: Scene) -> None:
    attempt(scene)
    items[1] = 25
    assert attempt(scene).numbers == {"total": 65}
    assert worked == [10, 20, 30, 25]


def test_any_process_can_take_a_shard_from_the_list(scene: Scene) -> None:
    raising[30] = JobFailed("not here")
    with pytest.raises(JobFailed):
        attempt(scene)
    listed = json.loads((scene.stages / "toy" / "test_sharding" / "shards.json").read_text())
    assert [entry["id"] for entry in listed["shards"]] == [f"test_sharding:{n}" for n in (1, 2, 3)]
    assert [entry["item"] for entry in listed["shards"]] == [10, 20, 30]
    assert all(entry["needs"] == {"gpus": 0, "memory_bytes": 0} for entry in listed["shards"])
    assert str(scene.root) not in json.dumps(listed), "a scene can be moved"
    first, last = (shard_list.read(STAGE, scene, "toy", Options(), n) for n in (1, 3))
    assert is_done(first) and not is_done(last) and last.item == 30


def test_a_list_for_other_options_or_another_version_is_refused(scene: Scene) -> None:
    with pytest.raises(NotFound, match="no list of shards"):
        shard_list.read(STAGE, scene, "toy", Options(), 1)
    attempt(scene)
    with pytest.raises(NotFound, match=r"no shard `test_sharding:4`: the stage has 3 shards"):
        shard_list.read(STAGE, scene, "toy", Options(), 4)
    with pytest.raises(ConfigError, match="listed for another parameter"):
        shard_list.read(replace(STAGE, parameters=("seed",)), scene, "toy", Options(), 1)
    with pytest.raises(ConfigError, match="listed for another version"):
        shard_list.read(replace(STAGE, version=2), scene, "toy", Options(), 1)


@pytest.mark.parametrize("executor", [one_by_one, backwards])
def test_a_failure_is_told_when_the_others_are_done(scene: Scene, executor: Executor) -> None:
    raising[20] = JobFailed("no luck with 20", detail="at all", hint="try again")
    with pytest.raises(JobFailed, match="no luck with 20") as caught:
        attempt(scene, executor=executor)
    assert caught.value.detail == "at all\n1 of 3 shards failed, the others are done"
    assert caught.value.hint == "try again" and sorted(worked) == [10, 30]
    raising.clear()
    assert attempt(scene).numbers == {"total": 60} and worked[2:] == [20]


def test_a_stop_ends_it_at_once_and_keeps_what_is_done(scene: Scene) -> None:
    raising[20] = Interrupted("stopped on request")
    with pytest.raises(Interrupted):
        attempt(scene)
    assert worked == [10]
    raising.clear()
    attempt(scene)
    assert worked == [10, 20, 30]
