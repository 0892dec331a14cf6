"""A neural surface begins with dense points, which its own process makes where there are none."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dense_ready import VIEWS, make_ready
from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.pipelines.options import to_mapping
from maquette.pipelines.photogrammetry.options import ProcessOptions as DenseOptions
from maquette.pipelines.training import parse_overrides
from maquette.recon.geometry.points import read_points
from maquette.recon.mvs.fused_files import fused_file
from maquette.recon.mvs.plan import read_plan
from maquette.recon.step import run_step
from maquette.recon.views.split import held_out_of
from maquette.scene import outputs, stage_records, transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress, parse_log_line
from maquette.scene.paths import Scene
from synthetic_scene import scene_distance
from tiny_training import TINY
from turns import linked_copy, made_once

GROUP = "experiments"
OPTIONS = ProcessOptions(
    iterations=3, gpus=0, preset="preview", overrides=parse_overrides(TINY.partition("=")[2])
)
POINTS = ("neighbours", "depthmaps", "consistency", "fuse")


def process(
    root: Path, options: Any, pipeline: str = "neuralangelo", shard: str = ""
) -> list[dict[str, Any]]:
    """Run the step, or a shard of it; its events."""
    file, log = root / "options.json", io.StringIO()
    write_json(file, to_mapping(options))
    run_step(pipeline, "process", Scene(root, pipeline), file, Progress(log=log), shard=shard)
    return [event for line in log.getvalue().splitlines() if (event := parse_log_line(line))]


def make_trained(root: Path) -> None:
    linked_copy(made_once("dense ready", make_ready), root)
    told = [event.get("text", "") for event in process(root, OPTIONS)]
    assert any("of dense stereo" in text for text in told), told


@pytest.fixture(scope="module")
def trained() -> Path:
    return made_once("trained on quick points", make_trained)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    return linked_copy(made_once("dense ready", make_ready), tmp_path / "scene")


def done(kind: str, events: list[dict[str, Any]]) -> list[str]:
    return [event["stage"] for event in events if event["event"] == kind]


def test_process_makes_quick_points_of_the_photos_that_do_not_judge_it(trained: Path) -> None:
    scene = Scene(trained, "neuralangelo")
    assert all(stage_records.read(scene, name) for name in (*POINTS, "train"))
    views = read_plan(scene.dense(GROUP)).views
    assert views == [number for number in range(VIEWS) if number not in held_out_of(VIEWS)]
    points = read_points(fused_file(scene.dense(GROUP), is_for_training=True)).points
    region = transforms.read(scene.transforms).region
    assert np.median(np.abs(scene_distance(points))) < 0.02 * region.radius
    assert (np.linalg.norm(region.unit_from_world(points), axis=1) <= 1.0001).all()
    free = np.load(scene.dense(GROUP) / "free_space.npy")
    assert len(free) > 1_000 and np.median(scene_distance(free)) > 0.02 * region.radius
    assert (scene_distance(free) < -0.02 * region.radius).mean() < 0.01
    assert not outputs.read(scene)  # they are nothing to show
    records = [stage_records.read(scene, name) for name in POINTS]
    assert all(record and set(record.parameters) <= {"group", "seed"} for record in records)


def test_they_are_made_once(trained: Path, tmp_path: Path) -> None:
    root = linked_copy(trained, tmp_path / "scene")
    assert done("started", process(root, OPTIONS)) == []
    more = process(root, replace(OPTIONS, iterations=4))
    assert done("started", more) == ["train"]


def test_any_machine_does_a_part_of_them(trained: Path, tmp_path: Path) -> None:
    root = linked_copy(trained, tmp_path / "scene")
    scene = Scene(root, "neuralangelo")
    (record,) = (scene.records("neuralangelo") / "depthmaps").glob("1-of-*.json")
    made = read_plan(scene.dense(GROUP)).names[0]
    depths = scene.dense(GROUP) / "stereo" / "depth_maps" / f"{made}.photometric.bin"
    before = depths.read_bytes()
    record.unlink()
    depths.unlink()
    process(root, OPTIONS, shard="depthmaps:1")
    assert record.is_file() and depths.read_bytes() == before


def test_without_them_training_begins_with_sparse_points(ready: Path) -> None:
    events = process(ready, replace(OPTIONS, dense="off"))
    assert done("finished", events) == ["train"]
    assert any("lines of sight" in event.get("text", "") for event in events)
    assert not (ready / "dense").exists()


def test_points_of_photogrammetry_are_taken_where_they_are(ready: Path) -> None:
    dense = DenseOptions(gpus=0, sweeps="3 2", source_views=4)
    process(ready, dense, "photogrammetry")
    events = process(ready, OPTIONS)
    assert done("finished", events) == ["train"]
    assert any("of dense stereo" in event.get("text", "") for event in events)
    read = stage_records.read(Scene(ready, "neuralangelo"), "train")
    assert read is not None and f"dense/photogrammetry/{GROUP}/fused.ply" in read.inputs


def test_photos_that_give_no_points_are_trained_on_all_the_same(ready: Path) -> None:
    for number, path in enumerate(sorted((ready / "images").iterdir())):
        with Image.open(path) as photo:
            size = photo.size
        path.unlink()  # other copies have the same file
        Image.new("RGB", size, 3 * (90 + number,)).save(path)
    events = process(ready, OPTIONS)
    assert done("finished", events)[-1] == "train"
    assert [e for e in events if e["event"] == "note" and e["text"].endswith(": done without")]
    assert any("lines of sight" in event.get("text", "") for event in events)
