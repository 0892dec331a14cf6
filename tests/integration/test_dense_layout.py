"""Dense workspaces of the version before, without their pipeline's name, are taken over once."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from maquette.recon.mvs.fused_files import found_points
from maquette.recon.mvs.view_records import ViewRecords
from maquette.scene import outputs, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.layout import open_scene
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord, content_key

MAKER, READER = "photogrammetry", "neuralangelo"
MAP = "stereo/depth_maps/0001.png.photometric.bin"


def lay_old(root: Path, group: str) -> Scene:
    """A scene of layout 2: points, of which a surface was trained, and the mesh of that."""
    scene = Scene(root, MAKER)
    old = f"dense/{group}"
    for name in ("views.json", "pair.txt", "fused.ply", "fused.ply.vis", MAP):
        path = root / old / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    points = {f"{old}/{name}": len(name) for name in ("fused.ply", "fused.ply.vis")}
    kinds = {f"{old}/fused.ply": outputs.POINTS}
    record(scene, "fuse", "process", {}, points, kinds)
    maps = {f"{old}/{MAP}": len(MAP)}
    write_json(scene.records(MAKER) / "depthmaps" / "1-of-1.json", {"key": "k", "outputs": maps})
    ViewRecords(scene.records(MAKER) / "depthmaps" / group, root).write(
        "0001", "v", [root / old / MAP]
    )
    outputs.write(scene)
    key = record(scene.of(READER), "train", "process", {f"{old}/fused.ply": "hash"}, {})
    record(scene.of(READER), "mesh", "extract", {"stage:train": f"{key}+1"}, {})
    write_json(scene.stages / "layout.json", {"layout": 2, "maquette": "0.1.0"})
    return scene


def record(
    scene: Scene, stage: str, step: str, inputs: dict[str, str], made: dict[str, int],
    kinds: dict[str, str] | None = None,
) -> str:  # fmt: skip
    key = content_key(stage, 3, {"group": "x"}, inputs)
    moment = {"fuse": "2026-01-01", "train": "2026-01-02", "mesh": "2026-01-03"}[stage]
    found = StageRecord(
        stage, step, key, {"group": "x"}, inputs, made, moment, 1.0, kinds=kinds or {}
    )
    stage_records.write(scene, scene.pipeline, found)
    return key


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize("group", ["experiments", "stereo", MAKER])
def test_what_was_done_stays_done_in_its_new_place(tmp_path: Path, group: str) -> None:
    scene = lay_old(tmp_path / "thing", group)
    open_scene(scene.root, READER)
    workspace = scene.dense(group)
    assert workspace == scene.root / "dense" / MAKER / group
    assert [path.name for path in (scene.root / "dense").iterdir()] == [MAKER]
    assert found_points(scene.of(READER), group) == workspace / "fused.ply"
    for pipeline, stage in ((MAKER, "fuse"), (READER, "train"), (READER, "mesh")):
        found = stage_records.read(scene.of(pipeline), stage)
        assert found and stage_records.outputs_stand(scene, found)
        assert found.key == content_key(stage, 3, {"group": "x"}, found.inputs)
    train, mesh = (stage_records.read(scene.of(READER), stage) for stage in ("train", "mesh"))
    assert train and list(train.inputs) == [scene.relative(workspace / "fused.ply")]
    assert mesh and mesh.inputs == {"stage:train": f"{train.key}+1"}
    told: list[str] = []
    views = ViewRecords(scene.records(MAKER) / "depthmaps" / group, scene.root)
    assert list(views.missing([0], ["0001"], lambda _: "v", told.append)) == []
    assert [item.path for item in outputs.read(scene)] == [scene.relative(workspace / "fused.ply")]
    kept = contents(scene.root)
    open_scene(scene.root, MAKER)
    assert contents(scene.root) == kept


def test_a_kill_in_between_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off before or after the n-th rename, and gone on with: the same as in one go."""
    whole = lay_old(tmp_path / "whole" / "thing", MAKER)
    base = tmp_path / "base"
    shutil.copytree(whole.root, base)
    open_scene(whole.root, READER)
    wanted = contents(whole.root)
    for place in range(1, 24):
        cut = tmp_path / f"at {place}" / "thing"
        shutil.copytree(base, cut)
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            cut_at(patch, place)
            open_scene(cut, READER)
        open_scene(cut, READER)
        assert contents(cut) == wanted, place


def cut_at(patch: pytest.MonkeyPatch, place: int) -> None:
    """Be interrupted at a rename. Odd: before a file takes its name, even: after it."""
    count, renames = 0, {name: getattr(os, name) for name in ("rename", "replace")}

    def renaming(name: str) -> object:
        def renamed(*arguments: object, **words: object) -> None:
            nonlocal count
            count += 1
            if 2 * count - 1 == place:
                raise KeyboardInterrupt
            renames[name](*arguments, **words)
            if 2 * count == place:
                raise KeyboardInterrupt

        return renamed

    for name in renames:
        patch.setattr(os, name, renaming(name))


def test_old_points_that_come_again_stay_where_others_are(tmp_path: Path) -> None:
    scene = lay_old(tmp_path / "thing", "experiments")
    open_scene(scene.root, MAKER)
    again = scene.root / "dense" / "experiments"
    again.mkdir()
    (again / "fused.ply").write_text("of another time")
    said: list[str] = []
    open_scene(scene.root, MAKER, say=said.append)
    assert (scene.dense("experiments") / "fused.ply").read_text() == "fused.ply"
    assert len(said) == 1 and "dense/experiments/fused.ply" in said[0]
