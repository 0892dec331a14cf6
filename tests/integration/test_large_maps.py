"""Maps of many pictures: in clusters as in one, and gone on from after a kill."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maquette.recon.sfm import capacity, colmap, global_parts, mappers, mapping
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.registration import register
from maquette.recon.sfm.workspace import PoseOptions, Workspace
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from turns import linked_copy

CLUSTER = 12


@pytest.fixture
def scene(prepared: Path, tmp_path: Path) -> Scene:
    return Scene(linked_copy(prepared / "scenes" / "thing", tmp_path / "ball"))


def workspace_of(scene: Scene, place: Path, name: str, **options: Any) -> Workspace:
    (place / name).mkdir()
    chosen = PoseOptions(is_video=False, **options)
    return Workspace(scene, place / name, chosen, Progress(None, io.StringIO()), place / "kept")


def assert_same_cameras(model: Any, scene: Scene, offset: float, angle_deg: float) -> None:
    """As in the model of all pictures at once; offsets are in parts of the cameras' spread."""
    whole = pycolmap.Reconstruction(scene.distorted)
    assert model.num_reg_images() == whole.num_reg_images()
    model.transform(pycolmap.align_reconstructions_via_proj_centers(model, whole, 1.0))
    centres, apart, turned = [], [], []
    for number, image in whole.images.items():
        other = model.images[number]
        centres.append(image.projection_center())
        apart.append(np.linalg.norm(centres[-1] - other.projection_center()))
        turn = image.cam_from_world().rotation * other.cam_from_world().rotation.inverse()
        turned.append(np.degrees(turn.angle()))
    assert max(apart) < offset * np.ptp(np.array(centres), axis=0).max()
    assert max(turned) < angle_deg


def test_clusters_give_the_cameras_of_one_map(scene: Scene, tmp_path: Path) -> None:
    found = register(workspace_of(scene, tmp_path, "work", cluster_size=CLUSTER, workers=2))
    assert found.method == "clusters"
    assert_same_cameras(found.model, scene, 0.01, 0.3)
    whole = pycolmap.Reconstruction(scene.distorted)
    assert found.model.num_points3D() > 0.8 * whole.num_points3D()
    assert found.model.compute_mean_track_length() > 0.8 * whole.compute_mean_track_length()
    assert found.quality.error_px < 1.0


def test_a_cluster_that_is_done_is_not_mapped_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, mapped = mapping.map_incrementally, []

    def killed(*arguments: Any) -> list[Any]:
        mapped.append(arguments[-1].names)
        if len(mapped) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(mapping, "map_incrementally", killed)
    with pytest.raises(KeyboardInterrupt):
        mappers.in_clusters(
            workspace_of(scene, tmp_path, "one", cluster_size=CLUSTER), "x", scene.database
        )
    models = mappers.in_clusters(
        workspace_of(scene, tmp_path, "other", cluster_size=CLUSTER), "x", scene.database
    )
    assert mapped.count(mapped[0]) == 1 and mapped.count(mapped[1]) == 2
    assert_same_cameras(models[0], scene, 0.01, 0.3)


def test_a_killed_map_goes_on_from_its_newest_snapshot(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping, "SNAPSHOT_FRAMES", 6)
    images = len(colmap.image_names(scene.database))
    seen: list[int] = []

    class Killing(Progress):
        limit = 14

        def step(self, name: str, done: int, total: int, **metrics: float | int | str) -> None:
            seen.append(done)
            if len(seen) == self.limit:
                raise KeyboardInterrupt

    workspace = workspace_of(scene, tmp_path, "one")
    killing = Killing(None, io.StringIO())
    with pytest.raises(KeyboardInterrupt):
        mappers.incrementally(
            Workspace(scene, workspace.work, workspace.options, killing, workspace.kept),
            "x", scene.database,
        )  # fmt: skip
    snapshots = tmp_path / "kept" / "x-snapshots"
    newest = sorted(path for path in snapshots.iterdir() if path.is_dir())[-1]
    half = newest.with_name(f"9{newest.name}")  # as if the next were being written
    half.mkdir()
    (half / "points3D.bin").write_bytes(b"half")
    seen.clear()
    killing.limit = 0
    again = workspace_of(scene, tmp_path, "other")
    models = mappers.incrementally(
        Workspace(scene, again.work, again.options, killing, again.kept), "x", scene.database
    )
    assert len(seen) < images - 5
    assert models[0].num_reg_images() == images
    assert_same_cameras(models[0], scene, 0.02, 0.5)


def test_a_large_set_is_solved_at_once_first_and_that_is_kept(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "ONE_BY_ONE", 10)
    found = register(workspace_of(scene, tmp_path, "one"))
    assert found.method == "global"
    assert_same_cameras(found.model, scene, 0.02, 0.5)
    monkeypatch.setattr(global_parts, "position", None)  # not called again
    again = register(workspace_of(scene, tmp_path, "other"))
    assert again.quality.registered == found.quality.registered
