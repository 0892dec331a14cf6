"""`database.db` belongs to the model that the poses stage leaves, also after a stronger method."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.sfm import colmap, mapping, registration
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.registration import Begun
from maquette.recon.sfm.workspace import Attempt, Workspace
from maquette.recon.stages.common import poses
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def synthesised(database: Path, points: int) -> Any:
    """A model of five pictures, and the database of its features."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig, options.num_points3D = 1, 5, points
    pycolmap.set_random_seed(0)
    colmap.create(database)
    with colmap.opened(database) as handle:
        return pycolmap.synthesize_dataset(options, handle)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene whose weak database fails the gate; a stronger one passes it."""
    scene = Scene(tmp_path / "thing")
    scene.root.mkdir()
    document: dict[str, Any] = {"source": "video", "images": []}
    (scene.root / "images_raw.json").write_text(json.dumps(document))
    synthesised(scene.database, points=30)
    colmap.settle(scene.database)

    def weak(workspace: Workspace, name: str, begun: Begun) -> Attempt:
        return Attempt(name, scene.database, None, mapping.quality_of(None, 5))

    def strong(workspace: Workspace, name: str, begun: Begun) -> Attempt:
        model = synthesised(workspace.work / "strong.db", points=60)
        model.update_point_3d_errors()
        colmap.settle(workspace.work / "strong.db")
        quality = mapping.quality_of(model, 5)
        return Attempt(name, workspace.work / "strong.db", model, quality)

    methods = (("incremental", "", weak), ("strong", "harder", strong))
    monkeypatch.setattr(registration, "METHODS", methods)
    return scene


def run(scene: Scene) -> None:
    poses.run(scene, PrepareOptions(), Progress(None, io.StringIO()))


def assert_belongs(scene: Scene) -> None:
    """Image ids, names and the places of features agree."""
    model = pycolmap.Reconstruction(scene.distorted)
    with colmap.opened(scene.database) as handle:
        names = {image.image_id: image.name for image in handle.read_all_images()}
        assert names == {number: image.name for number, image in model.images.items()}
        for number, image in model.images.items():
            keypoints = np.asarray(handle.read_keypoints(number))[:, :2]
            places = np.array([point.xy for point in image.points2D])
            assert keypoints == pytest.approx(places, abs=1e-3)


def test_the_database_of_the_method_that_passed_is_the_scenes(scene: Scene) -> None:
    run(scene)
    assert_belongs(scene)
    left = sorted(path.name for path in scene.root.rglob("*.db*"))
    assert left == ["database.db"]
    assert not (scene.distorted.parent / "work").exists()


def test_a_kill_between_database_and_model_is_made_good_by_the_next_run(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(best: Attempt) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(poses, "_numbers", killed)
        with pytest.raises(KeyboardInterrupt):
            run(scene)
    assert not scene.distorted.exists()
    with colmap.opened(scene.database) as handle:
        assert handle.num_images() == 5
    run(scene)
    assert_belongs(scene)


def test_a_database_that_another_process_writes_to_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "database.db"
    colmap.create(database)
    colmap.settle(database)
    other = sqlite3.connect(database)
    other.execute("BEGIN EXCLUSIVE")
    wait = colmap._waited

    def waited(path: Path) -> bool:
        other.rollback()
        return wait(path)

    monkeypatch.setattr(colmap, "_waited", waited)
    assert colmap.image_names(database) == []
    other.close()


def test_what_is_no_database_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "database.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RuntimeError):
        colmap.image_names(tmp_path / "database.db")
