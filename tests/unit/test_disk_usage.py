"""What a scene takes: every file counts once, for the stage that made it or its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.scene import disk_usage, stage_records
from maquette.scene.disk_usage import Usage
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord


def record(stage: str, at: str, outputs: dict[str, int], **facts: Any) -> StageRecord:
    told = {"parameters": {}, "inputs": {}, "wall_s": 1.0, **facts}
    return StageRecord(stage, "prepare", "k", outputs=outputs, started_at=at, **told)


def test_every_file_counts_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sizes = {
        "input/film.mp4": 50, "images_raw/1.jpg": 7, "images_raw/2.jpg": 8, "database.db": 20,
        "dense/p/g/1.bin": 90, "results/p/mesh.ply": 30, "runs/p/g/1.pt": 40,
        ".new-sparse_raw/x": 5,
    }  # fmt: skip
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    stage_records.write(scene, "common", record("input", "0", {"input/film.mp4": 50}))
    stage_records.write(scene, "common", record("frames", "1", {"images_raw": -1}))
    reads = {"stage:frames": "x"}
    features = record("features", "2", {"database.db": -1}, inputs=reads)
    stage_records.write(scene, "common", features)
    reads = {"stage:features": "x"}
    stage_records.write(scene, "common", record("matches", "3", {"database.db": -1}, inputs=reads))
    stage_records.write(scene, "p", record("depthmaps", "4", {"dense/p/g/1.bin": 90}))
    mesh = {"results/p/mesh.ply": 30}
    kinds = {"results/p/mesh.ply": "mesh"}
    stage_records.write(scene, "p", record("mesh", "5", mesh, inputs=reads, kinds=kinds))
    found = disk_usage.of_scene(scene)
    assert found[0] == Usage("input", 50, (), disk_usage._KEEP)
    assert found[1:6] == [
        Usage("frames", 15, ("features",), "prepare makes it again"),
        Usage("features", 20, ("matches", "mesh"), "prepare makes it again"),
        Usage("matches", 0, (), "prepare makes it again"),
        Usage("p depthmaps", 90, (), "prepare makes it again"),
        Usage("p mesh", 30, (), "results"),
    ]
    rest = {one.name: one for one in found[6:]}
    assert rest["runs/"] == Usage("runs/", 40, (), disk_usage._KEEP)
    assert "kill" in rest[".new-sparse_raw"].remark
    whole = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert sum(one.size_bytes for one in found) == whole
