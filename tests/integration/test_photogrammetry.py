"""Photogrammetry by its commands, on photos that were prepared by another pipeline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from command_line import maquette, maquette_here
from maquette.recon.geometry.points import read_points
from maquette.scene import outputs
from maquette.scene.paths import Scene
from turns import linked_copy

SMALL = ("PRESET=preview", "DENSE_SIZE=80", "SOURCE_VIEWS=3", "SWEEPS=3 1")


@pytest.fixture
def base(prepared: Path, tmp_path: Path) -> Path:
    """Where prepare of `thing` is done."""
    return linked_copy(prepared, tmp_path / "base")


def call(base: Path, *words: str, code: int = 0) -> str:
    run = maquette if words[0] == "run" else maquette_here
    done = run(base, *words, "PIPELINE=photogrammetry", "MODEL=thing")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_points_from_prepared_photos_move_with_their_scene(base: Path) -> None:
    said = call(base, "run", "process", "N_IMAGES_PER_GROUP=6", *SMALL)
    assert "dense/photogrammetry/experiments" in said
    scene = Scene(base / "scenes" / "thing", "photogrammetry")
    points = read_points(scene.dense("experiments") / "fused.ply").points
    assert len(points) > 800
    found = [(output.kind, output.stage) for output in outputs.read(scene)]
    assert found == [("points", "fuse"), ("picture", "depth_pictures")]
    shards = sorted(
        path.name for path in (scene.records(scene.pipeline) / "depthmaps").glob("*-of-*.json")
    )
    assert shards == ["1-of-2.json", "2-of-2.json"]

    call(base, "data", "push")
    kept = (scene.dense("experiments") / "fused.ply").read_bytes()
    shutil.rmtree(scene.root)
    call(base, "data", "pull")
    assert (scene.dense("experiments") / "fused.ply").read_bytes() == kept
    events = (scene.stages / "events.jsonl").read_text().splitlines()
    call(base, "run", "process", *SMALL)  # what another machine made stands here
    later = [json.loads(line) for line in (scene.stages / "events.jsonl").read_text().splitlines()]
    told = [event["event"] for event in later[len(events) :] if event["stage"]]
    assert told == ["skipped"] * 6


def test_a_scene_without_cameras_is_refused_with_the_verb_that_makes_them(tmp_path: Path) -> None:
    (tmp_path / "scenes" / "thing" / "images").mkdir(parents=True)
    said = call(tmp_path, "run", "process", code=13)
    assert "needs `transforms.json`" in said and "make prepare" in said
