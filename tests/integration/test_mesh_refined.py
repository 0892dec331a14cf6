"""The stage that refines a mesh by its photos, in a small scene with exact depth maps."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dense_workspace import write_workspace
from maquette.errors import BadInput
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.stages.dense import refined
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage
from synthetic_scene import scene_distance, truth_mesh
from turns import linked_copy, made_once

_WAVE = 0.012  # world units, about two thirds of a pixel


def made_before(scene: Scene, options: Any, progress: Progress) -> Report:
    """Stands for the stages before: their files are there."""
    return Report([])


STAGES = [
    Stage("neighbours", 1, made_before), Stage("filtered", 1, made_before), refined.STAGE,
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A scene with a mesh that waves about the true surface."""
    root = linked_copy(made_once("exact dense workspace", write_workspace), tmp_path / "scene")
    true = truth_mesh(64)
    mesh = TriangleMesh(np.asarray(true.vertices), np.asarray(true.faces, np.int32))
    waves = _WAVE * np.sin(mesh.vertices @ (9.0, 11.0, 7.0))
    moved = mesh.vertices + waves[:, None] * vertex_normals(mesh)
    colors = np.clip(0.5 + 0.3 * moved, 0, 1)
    results = root / "results/photogrammetry"
    results.mkdir(parents=True)
    write_ply(results / "smoothed.ply", replace(mesh, vertices=moved, colors=colors))
    return root


def extract(root: Path, **options: Any) -> dict[str, Any]:
    """Run the stage; its numbers."""
    chosen = replace(ExtractOptions(), **options)
    scene = Scene(root, "photogrammetry")
    records = run_stages(STAGES, "extract", scene, chosen, Progress(log=io.StringIO()))
    return next(record.numbers for record in records if record.stage == "refined")


def test_nothing_is_refined_unless_asked_for(root: Path) -> None:
    assert extract(root) == {"refined": False}
    assert not (root / "results/photogrammetry/refined.ply").exists()


def test_the_refined_mesh_is_nearer_to_the_truth_and_goes_when_it_is_no_longer_asked_for(
    root: Path,
) -> None:
    numbers = extract(root, refine=True, refine_rounds="3")
    results = root / "results/photogrammetry"
    before, after = (read_mesh(results / name) for name in ("smoothed.ply", "refined.ply"))
    first = after.vertices[: len(before.vertices)]
    moved = np.linalg.norm(first - before.vertices, axis=1) > 1e-4
    off = [np.abs(scene_distance(np.asarray(v, float)[moved])) for v in (before.vertices, first)]
    assert moved.mean() > 0.2
    assert off[1].mean() < 0.8 * off[0].mean()
    assert after.colors is not None and len(after.colors) == len(after.vertices)
    assert numbers["faces"] == len(read_mesh(results / "refined.obj").faces)
    assert numbers["misfit_after"] < numbers["misfit_before"]
    extract(root)
    assert not (results / "refined.ply").exists() and not (results / "refined.obj").exists()


def test_a_mesh_that_no_photo_shows_is_refused(root: Path) -> None:
    masks = root / "masks"
    masks.mkdir()
    for picture in sorted((root / "images").iterdir()):
        Image.new("L", (96, 72)).save(masks / picture.name)
    with pytest.raises(BadInput, match="no two photos see the mesh") as caught:
        extract(root, refine=True)
    assert "REFINE=1" in caught.value.hint
