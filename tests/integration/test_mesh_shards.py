"""The stage `surface` in shards: who makes them changes no byte, and a kill costs one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dense_workspace import write_workspace
from launching import apart
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.recon.executing import in_processes
from maquette.recon.stages.dense import surface
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.sharding import Executor
from maquette.stages.stage import Report, Stage
from turns import linked_copy, made_once


def fuse(scene: Scene, options: Any, progress: Progress) -> Report:
    """Stands for the stages of process: their files are there."""
    return Report([scene.dense(options.group) / "fused.ply"])


STAGES = [Stage("fuse", 1, fuse, parameters=("group",), facts=("cameras",)), surface.STAGE]
OPTIONS = replace(ExtractOptions(), resolution=64, block_res=16)


def fresh(root: Path) -> Scene:
    """A scene after process, to be changed."""
    made = made_once("exact dense workspace", write_workspace)
    return Scene(linked_copy(made, root), "photogrammetry")


def extract(scene: Scene, executor: Executor = in_processes, **options: Any) -> tuple[bytes, bytes]:
    """Run the stage; its two files."""
    chosen, quiet = replace(OPTIONS, **options), Progress(log=io.StringIO())
    run_stages(STAGES, "extract", scene, chosen, quiet, executor=executor)
    ply, obj = ((scene.results / f"mesh.{kind}").read_bytes() for kind in ("ply", "obj"))
    return ply, obj


def counted(monkeypatch: pytest.MonkeyPatch, killed_at: int = 0) -> list[Path]:
    """Where the parts are written, in order; the one that is named kills the step."""
    real, written = surface.write_patches, []

    def watched(path: Path, *patches: Any) -> None:
        written.append(path)
        if len(written) == killed_at:
            raise KeyboardInterrupt
        real(path, *patches)

    monkeypatch.setattr(surface, "write_patches", watched)
    return written


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_the_mesh_is_the_same_whoever_makes_its_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    whole, parts = fresh(tmp_path / "whole"), fresh(tmp_path / "parts")
    written = counted(monkeypatch)
    expected = extract(whole)
    assert len(written) == 1  # a small scene is one shard
    monkeypatch.setattr(surface, "_POINTS", 4_000)
    assert extract(parts, workers=workers) == expected
    for scene in (whole, parts):
        assert not (scene.records("photogrammetry") / "surface").exists()
    assert (len(written) == 1) is (workers == 2)  # two processes made the others


def test_a_shard_needs_no_more_of_the_scene_than_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(fresh(tmp_path / "whole"))
    monkeypatch.setattr(surface, "_POINTS", 4_000)
    machines = apart(tmp_path / "machines")
    assert extract(fresh(tmp_path / "parts"), machines) == expected
    assert not list((tmp_path / "machines").rglob("images"))


def test_after_a_kill_only_the_shards_that_lack_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(fresh(tmp_path / "whole"))
    scene = fresh(tmp_path / "scene")
    monkeypatch.setattr(surface, "_POINTS", 4_000)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        before = counted(patched, killed_at=3)
        extract(scene)
    assert stage_records.read(scene, "surface") is None
    assert not any(scene.results.glob("mesh.*"))
    after = counted(monkeypatch)
    assert extract(scene) == expected
    assert len(before) == 3 and before[2] == after[0] and not {*before[:2]} & {*after}


def test_parts_of_other_options_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(fresh(tmp_path / "whole"), resolution=48)
    scene = fresh(tmp_path / "scene")
    monkeypatch.setattr(surface, "_POINTS", 4_000)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        counted(patched, killed_at=2)
        extract(scene)
    assert extract(scene, resolution=48) == expected


def test_the_surface_of_poisson_is_one_shard_and_laid_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = fresh(tmp_path / "scene")
    written = counted(monkeypatch)

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(surface, "colored_by_points", killed)
        extract(scene, mesher="poisson", workers=2, resolution=32)
    assert len(written) == 1
    extract(scene, mesher="poisson", workers=2, resolution=32)
    assert len(written) == 1
