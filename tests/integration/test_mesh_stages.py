"""The stages that make a mesh of dense stereo, in a small scene with exact depth maps."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dense_workspace import VIEWS, write_workspace
from maquette.errors import BadInput, ConfigError, JobFailed
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.recon.evaluate.results import find_surface
from maquette.recon.mesh import poisson, resolution
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.stages.dense import filtered, surface
from maquette.scene import outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage
from synthetic_scene import CENTER, scene_distance
from turns import linked_copy, made_once


def fuse(scene: Scene, options: Any, progress: Progress) -> Report:
    """Stands for the stages of process: their files are there."""
    return Report([scene.dense(options.group) / "fused.ply"])


FUSE = Stage("fuse", 1, fuse, parameters=("group",), facts=("cameras",))
STAGES = [FUSE, surface.STAGE, filtered.STAGE]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A scene after process, to be changed."""
    return linked_copy(made_once("exact dense workspace", write_workspace), tmp_path / "scene")


def extract(root: Path, **options: Any) -> dict[str, Any]:
    """Run the stages; the numbers of both."""
    scene = Scene(root, "photogrammetry")
    chosen = replace(ExtractOptions(), **options)
    records = run_stages(STAGES, "extract", scene, chosen, Progress(log=io.StringIO()))
    return {record.stage: record.numbers for record in records}


def narrow(root: Path, region: Region) -> None:
    path = root / "transforms.json"
    cameras = transforms.read(path)
    path.unlink()
    transforms.write(path, replace(cameras, region=region))


def move_cameras(root: Path, count: int) -> None:
    """Leave some of the cameras, moved a little."""
    path = root / "transforms.json"
    cameras = transforms.read(path)
    path.unlink()
    moved = np.eye(4)
    moved[0, 3] = 0.1
    frames = [
        replace(frame, world_from_cam=moved @ frame.world_from_cam)
        for frame in cameras.frames[:count]
    ]
    transforms.write(path, replace(cameras, frames=tuple(frames)))


def off_surface(root: Path, name: str) -> np.ndarray:
    """How far vertices of a result are from the truth."""
    mesh = read_mesh(root / "results/photogrammetry" / name)
    return np.abs(scene_distance(np.asarray(mesh.vertices, np.float64)))


def test_meshes_lie_on_the_surface_in_the_region_and_in_colour(root: Path) -> None:
    numbers = extract(root)
    region = transforms.read(root / "transforms.json").region
    assert numbers["surface"]["mesher"] == "tsdf"
    for name in ("mesh", "filtered", "smoothed"):
        off = off_surface(root, f"{name}.ply")
        assert np.quantile(off, 0.5) < 0.005 and np.quantile(off, 0.95) < 0.03
        mesh = read_mesh(root / "results/photogrammetry" / f"{name}.ply")
        unit = region.unit_from_world(mesh.vertices)
        assert np.linalg.norm(unit, axis=1).max() < 1.01
        expected = np.clip(128 + 60 * mesh.vertices, 0, 255) / 255
        assert mesh.colors is not None
        assert np.quantile(np.abs(mesh.colors - expected), 0.9) < 0.03
        as_obj = read_mesh(root / "results/photogrammetry" / f"{name}.obj")
        assert len(as_obj.faces) == len(mesh.faces)
    assert extract(root) == numbers  # nothing runs again


def test_a_resolution_that_is_held_back_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, remark = resolution.resolution_for(2.0 / 1.5 / 1873.0)
    assert chosen == 1024 and "1,024 cells" in remark and "RESOLUTION=1873 " in remark
    assert resolution.resolution_for(2.0 / 1.5 / 1000.0) == (1000, "")
    assert resolution.resolution_for(0.0) == (64, "")
    assert poisson.octree_remark(1800, 2.0) == ""
    assert "1,861 cells" in poisson.octree_remark(2500, 2.0)
    monkeypatch.setattr(resolution, "_CELLS", (16, 24))
    log = io.StringIO()
    scene = Scene(root, "photogrammetry")
    (_, laid) = run_stages(
        STAGES[:2], "extract", scene, replace(ExtractOptions(), until_stage="surface"),
        Progress(log=log),
    )  # fmt: skip
    assert laid.numbers["resolution"] == 24
    assert laid.remarks[0].startswith("RESOLUTION=0 goes up to 24 cells")
    assert laid.remarks[0] in log.getvalue()


def test_a_smaller_copy_is_made_and_not_evaluated(root: Path) -> None:
    pytest.importorskip("fast_simplification", reason="`make lock` names the library's version")
    numbers = extract(root, decimate=0.2)["filtered"]
    assert abs(numbers["decimated_faces"] / numbers["faces"] - 0.2) < 0.02
    scene = Scene(root, "photogrammetry")
    outputs.write(scene)
    kinds = {output.path: output.kind for output in outputs.read(scene)}
    assert kinds["results/photogrammetry/decimated.ply"] == outputs.REDUCED_MESH
    assert find_surface(scene).path.name == "smoothed.ply"
    assert "decimated_faces" not in extract(root)["filtered"]
    assert not (scene.results / "decimated.ply").exists()
    with pytest.raises(ConfigError, match=r"FACES=100 and DECIMATE=0\.2"):
        extract(root, decimate=0.2, faces=100)


def test_poisson_closes_what_the_photos_did_not_see(root: Path) -> None:
    numbers = extract(root, unseen="fill", until_stage="surface")["surface"]
    assert numbers["mesher"] == "poisson" and numbers["unseen_share"] > 0.01
    mesh = read_mesh(root / "results/photogrammetry/mesh.ply")
    below = mesh.vertices[:, 2] < CENTER[2] - 0.2
    assert below.any()
    assert np.quantile(off_surface(root, "mesh.ply"), 0.5) < 0.02
    assert list(root.rglob(".tmp-*")) == []


def test_a_region_beside_the_points_is_refused(root: Path) -> None:
    narrow(root, Region.around(CENTER + 40.0, 0.5))
    with pytest.raises(
        BadInput, match=r"only 0 of [\d,]+ fused points lie in the region"
    ) as caught:
        extract(root)
    assert "make adjust" in caught.value.hint


def test_nothing_left_names_the_option_that_dropped_it(root: Path) -> None:
    with pytest.raises(JobFailed, match=r"is left: each has an edge of LONG_FACES=1e-06") as caught:
        extract(root, long_faces=1e-6)
    assert "LONG_FACES=60" in caught.value.hint
    with pytest.raises(JobFailed, match=r"is left: all lie in parts of fewer than 20") as caught:
        narrow(root, Region.around(CENTER, 12.0))
        extract(root, resolution=16)
    assert "RESOLUTION" in caught.value.hint


def test_a_region_too_large_for_any_cell_to_show_a_surface_is_named(root: Path) -> None:
    narrow(root, Region.around(CENTER, 2000.0))
    with pytest.raises(JobFailed, match="no surface of") as caught:
        extract(root, resolution=16)
    assert "pixels wide" in caught.value.detail and "smaller" in caught.value.hint
    narrow(root, Region.around(CENTER, 20.0))
    with pytest.raises(JobFailed, match="no surface of") as caught:
        extract(root, resolution=8)
    assert "try RESOLUTION=1" in caught.value.hint


def test_maps_of_other_cameras_are_not_meshed(root: Path) -> None:
    extract(root, until_stage="fuse")
    move_cameras(root, VIEWS)
    with pytest.raises(BadInput, match="changed after its depth maps were made") as caught:
        extract(root, from_stage="surface")
    assert "make process PIPELINE=photogrammetry" in caught.value.hint
    move_cameras(root, VIEWS - 1)
    with pytest.raises(BadInput, match=r"is of 16 photos, not of the 15 photos that") as caught:
        extract(root, from_stage="surface")
    assert "make process PIPELINE=photogrammetry" in caught.value.hint
