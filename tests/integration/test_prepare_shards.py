"""Features and matches in shards: the same database, and a kill costs the shard at work."""

from __future__ import annotations

import io
import sqlite3
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import launching
from maquette.pipelines.options import to_mapping
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.executing import command, in_processes
from maquette.recon.sfm import colmap, features, matching, pairs, preemption, shards
from maquette.recon.stages.common import STAGES
from maquette.recon.stages.common import features as features_stage
from maquette.recon.stages.common import matches as matches_stage
from maquette.scene import stage_records
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import Commands
from maquette.stages.running import run_stages
from maquette.stages.sharding import Executor
from turns import linked_copy, made_once

SIZE = (200, 150)
FIRST = ("input", "frames", "features", "matches")


@pytest.fixture(scope="module")
def made(photos: Path) -> Path:
    """A scene of small photos whose matches are found."""

    def make(folder: Path) -> None:
        (folder / "photos").mkdir()
        for path in photos.iterdir():
            with Image.open(path) as picture:
                picture.resize(SIZE).save(folder / "photos" / path.name, compress_level=1)
        options = PrepareOptions(input=str(folder / "photos"))
        quiet, stages = Progress(None, io.StringIO()), [STAGES[name] for name in FIRST]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(features, "_ENOUGH", 0)
            patched.setattr(matching, "_FEW", 1000)
            run_stages(stages, "prepare", Scene(folder / "ball"), options, quiet, "common")

    return made_once("matches of small photos", make) / "ball"


@pytest.fixture
def scene(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(features, "_ENOUGH", 0)  # they are not doubled
    return Scene(linked_copy(made, tmp_path / "ball"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_stage, "_PICTURES", 7)
    monkeypatch.setattr(matches_stage, "_PAIRS", 100)
    monkeypatch.setattr(matching, "_FEW", 1000)  # no helper processes


def run(scene: Scene, stage: str, workers: int = 1, forced: bool = False) -> dict[str, Any]:
    options = PrepareOptions(workers=workers, force_stage=stage if forced else "")
    module = import_module(f"maquette.recon.stages.common.{stage}")
    progress = Progress(None, io.StringIO())
    (record,) = run_stages(
        [module.STAGE], "prepare", scene, options, progress, "common", in_processes
    )
    return record.numbers


def contents(database: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(database) as handle:
        names = handle.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = {name: handle.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    handle.close()
    return {name: sorted(rows, key=str) for name, rows in found.items()}


def test_shards_in_two_processes_give_the_same_database_and_leave_nothing(
    scene: Scene, small: None
) -> None:
    before = contents(scene.database)
    for stage in ("features", "matches"):
        run(scene, stage, workers=2, forced=True)
        assert not (scene.records("common") / stage).exists()
    assert contents(scene.database) == before


@pytest.mark.parametrize("way", ["commands", "apart"])
def test_shards_of_other_machines_give_the_same_database(
    scene: Scene, small: None, tmp_path: Path, way: str
) -> None:
    before = contents(scene.database)
    options = tmp_path / "options.json"
    for stage in ("features", "matches"):
        chosen = PrepareOptions(force_stage=stage)
        write_json(options, to_mapping(chosen))
        executor: Executor = launching.apart(tmp_path / "machines")
        if way == "commands":
            executor = Commands(
                lambda scene: launching.OneByOne(launching.run_here),
                lambda shard: command("neuralangelo", "prepare", options, shard),
            )
        module = import_module(f"maquette.recon.stages.common.{stage}")
        quiet = Progress(None, io.StringIO())
        run_stages([module.STAGE], "prepare", scene, chosen, quiet, "common", executor)
    assert contents(scene.database) == before


def test_features_of_shards_are_those_of_all_pictures_at_once(
    scene: Scene, small: None, tmp_path: Path
) -> None:
    run(scene, "features", forced=True)
    names = sorted(path.name for path in scene.images_raw.glob("*.jpg"))
    whole = tmp_path / "whole.db"
    features.extract(
        whole, scene.images_raw, names, features.FeatureOptions(),
        features.Effort.usual(len(names)), None, Progress(None, io.StringIO()),
    )  # fmt: skip
    colmap.settle(whole)
    assert contents(whole) == contents(scene.database)


@pytest.mark.parametrize(("stage", "count"), [("features", 4), ("matches", 3)])
def test_after_a_kill_only_the_shards_that_lack_are_done(
    scene: Scene, small: None, monkeypatch: pytest.MonkeyPatch, stage: str, count: int
) -> None:
    before = contents(scene.database)
    module, called = (features, "find") if stage == "features" else (matching, "match")
    real, calls = getattr(module, called), []

    def killed(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr(module, called, killed)
    with pytest.raises(KeyboardInterrupt):
        run(scene, stage, forced=True)
    folder = scene.records("common") / stage
    done = folder / "0.db"
    stood = done.stat()
    assert sorted(path.name for path in folder.glob("*-of-*.json")) == [f"1-of-{count}.json"]
    assert stage_records.read(scene, stage) is None

    joined = []
    real_join = getattr(shards, join := f"join_{'pictures' if stage == 'features' else 'pairs'}")

    def watched(database: Path, part: Path) -> None:
        joined.append((part, part.stat().st_ino, part.stat().st_mtime_ns))
        real_join(database, part)

    monkeypatch.setattr(shards, join, watched)
    run(scene, stage)
    assert (done, stood.st_ino, stood.st_mtime_ns) in joined  # the one of before the kill
    assert len(calls) == 2 + count - 1
    if stage == "features":
        run(scene, "matches")
    assert contents(scene.database) == before


def test_a_kill_inside_a_shard_costs_a_batch_of_pairs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_FEW", 1000)
    monkeypatch.setattr(matching, "_BATCH", 30)
    before = contents(scene.database)
    real, matched = matching._match_part, []

    def killed(part: Any) -> Any:
        matched.append(len(part.pairs))
        if len(matched) == 4:
            raise KeyboardInterrupt
        return real(part)

    monkeypatch.setattr(matching, "_match_part", killed)
    with pytest.raises(KeyboardInterrupt):
        run(scene, "matches", forced=True)
    run(scene, "matches")
    assert sum(matched) == len(pairs.exhaustive(24)) + 30
    assert contents(scene.database) == before


def test_a_trial_in_shards_chooses_the_pairs_that_one_trial_of_all_does(
    scene: Scene, small: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preemption, "STRONGEST", 80)
    monkeypatch.setattr(preemption, "ENOUGH_PARTNERS", 1)
    monkeypatch.setattr(preemption, "pays", lambda *_: True)
    some = pairs.sequential(12, 3)
    monkeypatch.setattr(pairs, "exhaustive", lambda count: some)
    monkeypatch.setattr(matches_stage, "_PAIRS", 15)
    whole, names = tmp_path / "whole.db", colmap.image_names(scene.database)
    colmap.copy(scene.database, whole)
    matching.clear(whole)
    preemption.match(whole, names, some, 0, Progress(None, io.StringIO()))
    numbers = run(scene, "matches", forced=True)
    assert numbers["preemptive"] and numbers["pairs_matched"] < len(some)
    assert matching.inliers(scene.database, names) == matching.inliers(whole, names)


def test_large_sets_are_completed_where_the_view_graph_is_weak(
    scene: Scene, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours alone leave a chain; look-alikes make it whole."""
    monkeypatch.setattr(pairs, "EXHAUSTIVE_PHOTOS", 10)
    monkeypatch.setattr(pairs, "ALIKE_PHOTOS", 10)
    monkeypatch.setattr(pairs, "BY_LOOK", 1)
    monkeypatch.setattr(pairs, "OVERLAP", 1)
    numbers = run(scene, "matches", forced=True)
    assert numbers["matcher"] == "sequential"
    names = colmap.image_names(scene.database)
    verified = matching.verified_pairs(scene.database, names)
    partners = np.bincount(np.array(verified).ravel(), minlength=len(names))
    assert numbers["pairs_matched"] > numbers["pairs"]
    assert partners.min() >= 2


def test_a_kill_in_the_second_round_costs_a_batch_of_pairs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few look-alikes, then partners of partners: the same matches as without a kill."""
    monkeypatch.setattr(matching, "_FEW", 1000)
    monkeypatch.setattr(matching, "_BATCH", 20)
    monkeypatch.setattr(pairs, "EXHAUSTIVE_PHOTOS", 10)
    monkeypatch.setattr(pairs, "ALIKE", 1)
    numbers = run(scene, "matches", forced=True)
    before = contents(scene.database)
    assert numbers["matcher"] == "alike"
    assert numbers["pairs"] < numbers["pairs_matched"] < numbers["pairs_in_all"] == 24 * 23 // 2
    assert numbers["pairs_verified"] > 24

    real, first = matching._match_part, -(-numbers["pairs"] // 20)
    matched: list[int] = []

    def killed(part: Any) -> Any:
        if len(matched) == first + 1:
            raise KeyboardInterrupt
        matched.append(len(part.pairs))
        return real(part)

    monkeypatch.setattr(matching, "_match_part", killed)
    with pytest.raises(KeyboardInterrupt):
        run(scene, "matches", forced=True)
    matched.clear()
    first = 1000
    run(scene, "matches")
    assert sum(matched) == numbers["pairs_matched"] - numbers["pairs"] - 20
    assert contents(scene.database) == before
