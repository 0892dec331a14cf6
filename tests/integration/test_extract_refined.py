"""REFINE of a neural surface: its mesh goes to where the photos agree."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import synthetic_scene
from maquette.errors import BadInput
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.stages.surface import mesh as mesh_stage
from maquette.scene import checkpoints, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.running import run_stages
from turns import linked_copy, made_once

REGION = synthetic_scene.region()
_WAVE = 0.012  # world units, about two thirds of a pixel


class Waving:
    """A model of the synthetic scene whose surface waves about the true one."""

    iteration = 9

    def __init__(self, region: Region) -> None:
        self.region = region

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        world = self.region.world_from_unit(points)
        waves = _WAVE * np.sin(world @ (9.0, 11.0, 7.0))
        return (synthetic_scene.signed_distance(world) - waves) / self.region.radius

    def colors(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * normals


def make_posed(root: Path) -> None:
    scene = synthetic_scene.write_posed_scene(root, 16, 96, 72)
    synthetic_scene.write_landmarks(scene, 600)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    root = linked_copy(made_once("posed with landmarks", make_posed), tmp_path / "ring")
    scene = Scene(root, "neuralangelo")
    path = scene.run("experiments") / checkpoints.checkpoint_name(1, 9)
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", "9")
    checkpoints.write_pointer(path.parent, path.name)
    return scene


def extract(
    scene: Scene, region: Region = REGION, **options: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """How far the mesh's vertices are from the true surface, and the stage's numbers."""
    chosen = ExtractOptions(resolution=128, block_res=64, gpus=0, **options)
    with patch.object(mesh_stage, "load", lambda checkpoint, device: Waving(region)):
        (record,) = run_stages(
            [mesh_stage.STAGE], "extract", scene, chosen, Progress(None, StringIO())
        )
    mesh = read_mesh(scene.results / "ring.ply")
    assert mesh.colors is not None and mesh.normals is not None
    return np.abs(synthetic_scene.signed_distance(mesh.vertices)), record.numbers


def test_the_mesh_goes_to_where_the_photos_agree(scene: Scene) -> None:
    trained, numbers = extract(scene, refine="0")
    assert "misfit_after" not in numbers
    refined, numbers = extract(scene)
    assert len(refined) == len(trained)
    assert refined.mean() < 0.6 * trained.mean()
    assert numbers["misfit_after"] < numbers["misfit_before"]


def test_photos_of_a_room_are_asked_only_where_a_person_says_so(scene: Scene) -> None:
    """The region's middle is where no camera looks."""
    cameras = transforms.read(scene.transforms)
    aside = replace(REGION, center=tuple(np.add(REGION.center, [0, 0, 2.0])))
    transforms.write(scene.transforms, replace(cameras, region=aside))
    assert "misfit_after" not in extract(scene, region=aside)[1]
    assert "misfit_after" in extract(scene, region=aside, refine="1")[1]


def test_many_vertices_are_moved_only_where_a_person_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_stage, "_MOST_REFINED", 100)
    assert "misfit_after" not in extract(scene)[1]
    assert "misfit_after" in extract(scene, refine="1")[1]


def test_it_stays_where_nothing_tells_which_photos_show_the_same(scene: Scene) -> None:
    shutil.rmtree(scene.sparse)
    trained, _ = extract(scene, refine="0")
    same, numbers = extract(scene)
    assert (same == trained).all() and "misfit_after" not in numbers
    with pytest.raises(BadInput, match="tell which photos show the same") as caught:
        extract(scene, refine="1")
    assert "REFINE=1" in caught.value.hint


def test_it_stays_without_the_photos_unless_a_person_asks(scene: Scene) -> None:
    (scene.images / "0003.png").unlink()
    assert "misfit_after" not in extract(scene)[1]
    with pytest.raises(BadInput, match=r"0003\.png"):
        extract(scene, refine="1")
