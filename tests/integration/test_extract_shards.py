"""Extract of a neural surface in shards: who makes them changes no byte, and a kill costs one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import launching
from maquette.errors import BadInput
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.pipelines.options import to_mapping
from maquette.recon.executing import command, in_processes
from maquette.recon.mesh import slab_parts
from maquette.recon.stages.surface import mesh
from maquette.scene import stage_records
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import Commands
from maquette.stages.running import run_stages
from maquette.stages.sharding import Executor
from turns import linked_copy

OPTIONS = ExtractOptions(resolution=96, block_res=16)
SHARDS = 3


@pytest.fixture
def scene(trained: Path, tmp_path: Path) -> Scene:
    """A scene with a checkpoint, to be changed."""
    linked_copy(trained, tmp_path / "base")
    return Scene(tmp_path / "base" / "scenes" / "thing", "neuralangelo")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slab a shard, where three are one otherwise."""
    monkeypatch.setattr(slab_parts, "_CELLS", 16)


def extract(scene: Scene, executor: Executor = in_processes, **options: Any) -> list[bytes]:
    """Run the stage anew; its two files."""
    chosen, quiet = replace(OPTIONS, **options), Progress(log=io.StringIO())
    run_stages([mesh.STAGE], "extract", scene, chosen, quiet, executor=executor)
    return [(scene.results / f"thing.{kind}").read_bytes() for kind in ("ply", "glb")]


def laid(monkeypatch: pytest.MonkeyPatch, killed_at: int = 0) -> list[Path]:
    """Where this process writes parts, in order; the one that is named kills the step."""
    real, written = slab_parts.write_patches, []

    def watched(path: Path, *patches: Any) -> None:
        written.append(path)
        if len(written) == killed_at:
            raise KeyboardInterrupt
        real(path, *patches)

    monkeypatch.setattr(slab_parts, "write_patches", watched)
    return written


def test_the_mesh_is_the_same_whoever_makes_its_shards(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = laid(monkeypatch)
    expected = extract(scene)
    assert len(written) == 1  # a small mesh is one shard
    monkeypatch.setattr(slab_parts, "_CELLS", 32)  # two slabs, and one
    assert extract(scene, workers=2, force_stage="mesh") == expected
    assert len(written) == 1  # two processes made the others
    assert not (scene.records("neuralangelo") / "mesh").exists()


def test_a_command_makes_the_same_shard(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(scene)
    monkeypatch.setattr(slab_parts, "_CELLS", 32)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        laid(patched, killed_at=2)  # so that one is left
        extract(scene, force_stage="mesh")
    options = tmp_path / "options.json"
    write_json(options, to_mapping(OPTIONS))
    by_commands = Commands(
        launching.open_launcher,
        lambda shard: command("neuralangelo", "extract", options, shard),
    )
    written = laid(monkeypatch)
    assert extract(scene, by_commands) == expected and not written


def test_a_shard_needs_no_more_of_the_scene_than_it_declares(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(scene)
    monkeypatch.setattr(slab_parts, "_CELLS", 32)
    machines = tmp_path / "machines"
    assert extract(scene, launching.apart(machines), force_stage="mesh") == expected
    assert len({path.parent for path in machines.rglob("*.pt")}) == 2
    assert not list(machines.rglob("images"))


@pytest.mark.usefixtures("small_shards")
def test_after_a_kill_only_the_shards_that_lack_are_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(scene)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        before = laid(patched, killed_at=SHARDS)
        extract(scene, force_stage="mesh")
    assert stage_records.read(scene, "mesh") is None
    with monkeypatch.context() as patched:
        patched.setattr(slab_parts, "plane_after", None)  # the planes are there already
        after = laid(patched)
        assert extract(scene) == expected
    assert len(before) == SHARDS and after == before[-1:]


@pytest.mark.usefixtures("small_shards")
def test_damaged_planes_are_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        laid(patched, killed_at=1)
        extract(scene)
    first, *others = sorted(scene.records("neuralangelo").glob("mesh/*-plane-*.npz"))
    content, middle = first.read_bytes(), first.stat().st_size // 2
    turned = bytes(~byte & 255 for byte in content[middle:][:9])
    for damaged in (content[:-50], b"", content[:middle] + turned + content[middle + 9 :]):
        first.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"-plane-0\.npz`") as caught:
            extract(scene)
        assert "remove it" in caught.value.hint
    first.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        laid(patched, killed_at=1)
        extract(scene)
    assert first.is_file()  # and it alone was found again
    assert before == {path: path.stat().st_mtime_ns for path in others}
    extract(scene)
