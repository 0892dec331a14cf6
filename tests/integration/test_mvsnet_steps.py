"""A data set becomes a trained network with tables, by the steps as any machine runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dtu_folder import PLANES, write_dtu
from maquette.errors import ConfigError, NotFound
from maquette.pipelines.registry import get_pipeline
from maquette.recon.mvsnet import pfm
from maquette.recon.step import run_step
from maquette.scene import outputs, stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

TRAINING = {"gpus": 0, "network": "mvsnet", "iterations": 2, "optimizer": "adam", **PLANES}


def step(scene: Scene, name: str, **options: Any) -> None:
    path = scene.root.with_name(f"{name}.json")
    path.write_text(json.dumps(options))
    run_step("mvsnet", name, scene, path, Progress(None))


def keys(scene: Scene) -> list[str]:
    return [stage_records.read(scene, name).key for name in ("index", "train", "tables")]  # type: ignore[union-attr]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    root = tmp_path / "dtu"
    root.mkdir()
    return Scene(root, "mvsnet")


def test_a_data_set_is_indexed_trains_and_gets_its_tables(tmp_path: Path, scene: Scene) -> None:
    data = write_dtu(tmp_path / "data", scans=(1, 2, 3))
    step(scene, "prepare", input=str(data))
    assert not scene.input.exists() and not scene.transforms.exists()
    step(scene, "process", **TRAINING)
    step(scene, "extract", gpus=0, depth_maps=1)
    table = (scene.results / "table.txt").read_text()
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [["validation", "3"],
                                                                     ["test", "3"]]  # fmt: skip
    told = json.loads((scene.results / "test.json").read_text())
    assert told["samples"][0]["name"] == "scan1 view 0 light 0"
    assert 0 < told["mean"]["abs_err"] < 410
    assert [one["name"] for one in told["clouds"]] == ["scan1"] and told["mean"]["clouds"] == 1
    maps = scene.results / "depths_mvsnet" / "validation"
    assert pfm.read(maps / "scan3_view_0_light_0.pfm").shape == (12, 16)
    assert pfm.read(maps / "scan3_view_0_light_0_prob.pfm").max() <= 1.0
    assert "picture" in {one.kind for one in outputs.read(scene)}
    before = keys(scene)
    (tmp_path / "data").rename(tmp_path / "moved")
    step(scene, "prepare", input=str(tmp_path / "moved"))
    step(scene, "process", **TRAINING)
    assert keys(scene) == before
    with pytest.raises(ConfigError, match="do not cover the depths"):
        step(scene, "process", **{**TRAINING, "n_depths": 8, "fresh": True})
    assert (scene.run("experiments") / "best.pt").is_file()  # nothing was set aside


def test_process_needs_an_indexed_data_set_or_prepared_photos(scene: Scene) -> None:
    """A scene that nothing was prepared in is taken for one of photos."""
    with pytest.raises(NotFound, match=r"process needs `transforms\.json`"):
        step(scene, "process", **TRAINING)


def test_what_input_holds_decides_what_prepare_does(tmp_path: Path) -> None:
    prepare = get_pipeline("mvsnet").steps["prepare"]
    scene = tmp_path / "scene"
    for folder in ("photos", "dtu/Cameras", "blended/one/cams", "ours/dense/a/b/stereo/filtered"):
        (tmp_path / folder).mkdir(parents=True)
    stages = {
        name: prepare.for_scene(scene, str(tmp_path / name)).stages[0]
        for name in ("photos", "dtu", "blended", "ours")
    }
    assert stages.pop("photos") == ".common.input" and set(stages.values()) == {".mvsnet.index"}
    assert prepare.for_scene(scene).stages[0] == ".common.input"
    assert prepare.for_scene(scene, "https://example.org/a.zip").stages[0] == ".common.input"
    (scene / "dataset").mkdir(parents=True)
    (scene / "dataset" / "index.json").touch()
    assert prepare.for_scene(scene).stages == (".mvsnet.index",)
    assert get_pipeline("splat").steps["prepare"].for_scene(scene).stages[0] == ".common.input"
