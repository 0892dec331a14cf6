"""Shards are done once each, and a stage merges them when all are there."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maquette.errors import Interrupted, JobFailed
from maquette.pipelines.options import ShardedStepOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.sharding import run_shards
from maquette.stages.stage import Report, Sharding, Stage

worked: list[int] = []
raising: dict[int, Exception] = {}


@dataclass(frozen=True)
class Options(ShardedStepOptions):
    """Of the stage here."""


def split(scene: Scene, options: Any) -> list[int]:
    return [10, 20, 30]


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
    return Scene(tmp_path, "toy")


def here(work: Any, tasks: Sequence[Any], workers: int) -> Generator[Any, None, None]:
    """An executor that does the last task first."""
    yield from map(work, reversed(tasks))


def attempt(scene: Scene, key: str = "k", workers: int = 1) -> Report:
    options = Options(workers=workers)
    return run_shards(STAGE, scene, "toy", options, key, Progress(), here)


def test_each_is_done_once_in_any_order(scene: Scene) -> None:
    assert attempt(scene, workers=2).numbers == {"total": 60}
    assert worked == [30, 20, 10]
    assert attempt(scene).numbers == {"total": 60} and len(worked) == 3
    names = sorted(path.name for path in (scene.stages / "toy" / "test_sharding").iterdir())
    assert names == ["1-of-3.json", "2-of-3.json", "3-of-3.json"]


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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_told_when_the_others_are_done(scene: Scene, workers: int) -> None:
    raising[20] = JobFailed("no luck with 20", detail="at all", hint="try again")
    with pytest.raises(JobFailed, match="no luck with 20") as caught:
        attempt(scene, workers=workers)
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
