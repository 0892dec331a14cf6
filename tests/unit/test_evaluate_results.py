"""Which of a pipeline's results is measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.evaluate.results import find_surface, has_faces
from maquette.scene import outputs
from maquette.scene.atomic import write_json
from maquette.scene.outputs import MESH, PICTURE, POINTS, REDUCED_MESH, Output
from maquette.scene.paths import Scene

HEADER = "ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\n"


def listed(scene: Scene, *results: tuple[str, str]) -> None:
    """Results of the names and kinds, as a stage tells of them."""
    entries = []
    for name, kind in results:
        path = scene.results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + "end_header\n")
        entries.append(asdict(Output(scene.relative(path), kind, f"makes-{name}", "extract", 1)))
    write_json(scene.results / outputs.FILE, {"outputs": entries})


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([("a.ply", MESH), ("b.ply", POINTS)], "a.ply"),
        ([("b.ply", POINTS), ("a.png", PICTURE)], "b.ply"),
        ([("old.ply", MESH), ("new.ply", MESH), ("new.glb", MESH)], "new.ply"),
        ([("whole.ply", MESH), ("small.ply", REDUCED_MESH)], "whole.ply"),
    ],
)
def test_a_mesh_is_chosen_before_points_and_the_newest_of_its_kind(
    tmp_path: Path, results: list[tuple[str, str]], expected: str
) -> None:
    scene = Scene(tmp_path, "neural")
    listed(scene, *results)
    (scene.results / "strange.ply").write_text(HEADER)  # no stage tells of it
    found = find_surface(scene)
    assert (found.path.name, found.stage) == (expected, f"makes-{expected}")


def test_without_a_result_the_pipeline_is_named(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "neural")
    listed(scene, ("a.png", PICTURE))
    with pytest.raises(NotMeasured, match="neural has made no mesh and no points yet"):
        find_surface(scene)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER + "element face 2\nend_header\n", True),
        (HEADER + "element face 0\nend_header\n", False),
        (HEADER + "end_header\nelement face 2\n", False),
        ("v 0 0 0\nf 1 1 1\n", True),  # no PLY file at all
    ],
)
def test_points_are_told_from_a_mesh_by_the_header(
    tmp_path: Path, text: str, expected: bool
) -> None:
    path = tmp_path / "a.ply"
    path.write_text(text)
    assert has_faces(path) is expected
