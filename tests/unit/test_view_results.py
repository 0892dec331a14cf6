"""What a page offers to show of a scene, and points of a PLY file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from maquette.errors import BadInput
from maquette.scene import outputs, stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

pytest.importorskip("trimesh", reason="pip install -e 'python[view]'")

from maquette.viewer import results
from maquette.viewer.ply_points import read_points

ROW = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("nx", "<f4"),
                ("red", "u1"), ("green", "u1"), ("blue", "u1")])  # fmt: skip
NAMES = {"<f4": "float", "|u1": "uchar", "<f8": "double"}


def write_points(path: Path, rows: np.ndarray, after: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert rows.dtype.fields is not None
    fields = [f"property {NAMES[kind.str]} {name}" for name, (kind, _) in rows.dtype.fields.items()]
    lines = ["ply", "format binary_little_endian 1.0", "comment x", f"element vertex {len(rows)}"]
    header = "\n".join([*lines, *fields, *after.splitlines(), "end_header\n"])
    path.write_bytes(header.encode() + rows.tobytes())
    return path


def some_rows(count: int) -> np.ndarray:
    rows = np.zeros(count, ROW)
    rows["x"], rows["z"], rows["blue"] = np.arange(count), -1.5, np.arange(count) % 256
    return rows


def test_reduced_meshes_and_points_are_offered_by_their_kinds(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "shoe", "photogrammetry")
    kinds = {
        "dense/photogrammetry/experiments/fused.ply": outputs.POINTS,
        "results/photogrammetry/mesh.ply": outputs.MESH,
        "results/photogrammetry/decimated.ply": outputs.REDUCED_MESH,
        "results/photogrammetry/decimated.obj": outputs.REDUCED_MESH,
    }
    for second, path in enumerate(kinds):
        write_points(scene.root / path, some_rows(3))
        os.utime(scene.root / path, (second, second))
    record = StageRecord("all", "extract", "k", {}, {}, {}, "2026", 1.0, kinds=kinds)
    stage_records.write(scene, "photogrammetry", record)
    assert list(results.meshes(scene)) == ["mesh.ply", "decimated.ply"]
    assert results.clouds(scene) == {
        "fused.ply": scene.root / "dense/photogrammetry/experiments/fused.ply"
    }


def test_points_are_thinned_evenly_with_their_colours(tmp_path: Path) -> None:
    path = write_points(tmp_path / "fused.ply", some_rows(1000))
    points, colors = read_points(path, 1000)
    assert points.shape == colors.shape == (1000, 3)
    assert points[999].tolist() == [999, 0, -1.5] and colors[999].tolist() == [0, 0, 999 % 256]
    points, colors = read_points(path, 300)
    assert points[:, 0].tolist() == list(range(0, 1000, 4)) and colors[1, 2] == 4


def test_other_forms_of_points(tmp_path: Path) -> None:
    plain = np.zeros(2, [("x", "<f8"), ("y", "<f8"), ("z", "<f8")])
    faces = "element face 0\nproperty list uchar int vertex_indices"
    points, colors = read_points(write_points(tmp_path / "a.ply", plain, faces), 9)
    assert len(points) == 2 and (colors == colors[0, 0]).all()
    whole = write_points(tmp_path / "b.ply", some_rows(5)).read_bytes()
    for damage in (whole[:-20], whole[:40], b"solid", whole.replace(b"binary_little", b"no")):
        (tmp_path / "b.ply").write_bytes(damage)
        with pytest.raises(BadInput, match=r"`b\.ply` holds no points"):
            read_points(tmp_path / "b.ply", 9)
