"""Points of dense stereo: read from a COLMAP workspace, and what they ask of the field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from maquette.errors import BadInput
from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.recon.mvs.colmap_files import read_visibility, write_fused
from maquette.recon.mvs.fused_files import free_space_file, fused_file, visibility_file
from maquette.recon.mvs.fusion import Points
from maquette.recon.mvs.plan import Plan, write_plan
from maquette.recon.stages.surface import STAGES, points_to_train_on, train
from maquette.recon.surface import dense_points, sparse_points
from maquette.recon.surface.mixed_points import MixedPoints, mixed
from maquette.recon.training.draws import Draws
from maquette.scene import stage_records, transforms
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from synthetic_scene import write_landmarks, write_posed_scene

CPU = torch.device("cpu")
GROUP = "experiments"
RADIUS = 0.4  # of a ball in the region's middle, of the region's own


def scene_with_ball(folder: Path, count: int = 500, is_for_training: bool = False) -> Scene:
    """A scene whose dense points lie on a ball, and one far outside the region."""
    scene = write_posed_scene(folder, 12, 32, 24)
    region = transforms.read(scene.transforms).region
    normals = np.random.default_rng(0).normal(size=(count + 1, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = np.full(count + 1, RADIUS)
    distances[-1] = 3.0
    places = region.world_from_unit(distances[:, None] * normals)
    ways = centers(scene)[None] - places[:, None]
    facing = (ways * normals[:, None]).sum(2) / np.linalg.norm(ways, axis=2)
    views = np.full((count + 1, 3), -1, np.int32)
    views[:, 0] = facing.argmax(1)
    views[::2, 1] = (views[::2, 0] + 1) % 12
    points = Points(
        places.astype(np.float32), normals.astype(np.float32),
        np.zeros((count + 1, 3), np.uint8), views,
    )  # fmt: skip
    fused = fused_file(scene.dense(GROUP), is_for_training)
    fused.parent.mkdir(parents=True)
    write_fused(fused, [points])
    assert (read_visibility(visibility_file(fused)) == views[:, :2]).all()
    return scene


def centers(scene: Scene) -> np.ndarray:
    """Where the cameras stand, [12, 3], in the order of their photos' names."""
    frames = sorted(transforms.read(scene.transforms).frames, key=lambda frame: frame.file_path)
    return np.stack([frame.world_from_cam[:3, 3] for frame in frames])


def read(scene: Scene) -> dense_points.DensePoints | None:
    cameras = transforms.read(scene.transforms)
    path = points_to_train_on(scene, GROUP)
    assert path is not None
    return dense_points.read(scene, path, cameras.frames, cameras.region, CPU)


def test_points_ask_for_the_surface_that_they_lie_on(tmp_path: Path) -> None:
    found = read(scene_with_ball(tmp_path))
    assert found is not None and len(found.points) == 500

    def loss(shift: float, sign: float = 1.0) -> float:
        draws = Draws(torch.Generator().manual_seed(0))
        return float(found.loss(lambda x: sign * (x.norm(dim=1) - RADIUS) + shift, 2000, draws))

    assert loss(0.0) < 0.004
    assert loss(0.01) > loss(0.0) + 0.015 and loss(-0.01) > loss(0.0) + 0.015
    assert loss(0.0, sign=-1.0) > loss(0.0) + 0.015


def test_each_point_has_the_camera_that_saw_it(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    found, region = read(scene), transforms.read(scene.transforms).region
    assert found is not None
    view = read_visibility(visibility_file(fused_file(scene.dense(GROUP))))[17, 0]
    center = region.unit_from_world(centers(scene)[view])
    assert found.eyes[17].numpy() == pytest.approx(center, abs=1e-5)


def test_what_is_known_to_be_free_is_asked_to_be(tmp_path: Path) -> None:
    """Places on a shell around the ball: a field that reaches there contradicts them."""
    scene = scene_with_ball(tmp_path)
    region = transforms.read(scene.transforms).region
    around = np.random.default_rng(1).normal(size=(400, 3))
    around *= 0.8 / np.linalg.norm(around, axis=1, keepdims=True)
    file = free_space_file(fused_file(scene.dense(GROUP)))
    np.save(file, region.world_from_unit(around).astype(np.float32))
    found = read(scene)
    assert found is not None and found.free is not None
    assert found.free.places.norm(dim=1).numpy() == pytest.approx(0.8, abs=1e-4)
    assert found.free.distances.max() <= 0.0201
    assert file in train.STAGE.files(scene, ProcessOptions())
    file.unlink()
    without = read(scene)
    assert without is not None and without.free is None

    def difference(field: Callable[[torch.Tensor], torch.Tensor]) -> float:
        told = [
            one.loss(field, 2000, Draws(torch.Generator().manual_seed(0)))
            for one in (found, without)
        ]
        return float(told[0] - told[1])

    ball = difference(lambda x: x.norm(dim=1) - RADIUS)
    balloon = difference(
        lambda x: (x.norm(dim=1) - RADIUS).minimum((x.norm(dim=1) - 0.8).abs() - 0.1)
    )
    assert ball == pytest.approx(0, abs=1e-5) and balloon > 0.1


def test_there_may_be_none(tmp_path: Path) -> None:
    assert points_to_train_on(write_posed_scene(tmp_path / "none", 12, 32, 24), GROUP) is None
    assert read(scene_with_ball(tmp_path / "outside", count=0)) is None


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    seen_by = visibility_file(fused_file(scene.dense(GROUP)))
    seen_by.write_bytes(seen_by.read_bytes()[:-4])
    with pytest.raises(BadInput, match="which views see its points"):
        read(scene)
    fused = fused_file(scene.dense(GROUP))
    for content in (fused.read_bytes()[:-4], b""):
        fused.write_bytes(content)
        with pytest.raises(BadInput, match=r"fused.ply` is damaged") as caught:
            read(scene)
        assert "make process PIPELINE=neuralangelo" in caught.value.hint
        assert "DENSE=off" in caught.value.hint


def test_damaged_free_space_is_told_of(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    file = free_space_file(fused_file(scene.dense(GROUP)))
    np.save(file, np.zeros((9, 3), np.float32))
    for content in (file.read_bytes()[:-4], b"", b"?"):
        file.write_bytes(content)
        with pytest.raises(BadInput, match=r"free_space.npy` is damaged") as caught:
            read(scene)
        assert "make process PIPELINE=neuralangelo" in caught.value.hint


def test_points_of_other_photos_are_refused(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    cameras = transforms.read(scene.transforms)
    with pytest.raises(BadInput, match="not of this scene's photos"):
        path = fused_file(scene.dense(GROUP))
        dense_points.read(scene, path, cameras.frames[:6], cameras.region, CPU)


def test_points_of_smaller_maps_than_the_quick_ones_are_left(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    write_landmarks(scene, 50)
    fused = fused_file(scene.dense(GROUP))
    for side, taken in ((31, None), (32, fused), (1200, fused)):  # the photos are 32 pixels wide
        plan = Plan(side, (3,), ("a.jpg", "b.jpg"), (None, None), [[], []])
        write_plan(fused.parent, plan)
        assert points_to_train_on(scene, GROUP) == taken
        assert STAGES["fuse"].applies(scene, ProcessOptions()) == (taken is None)


def test_training_depends_on_them_only_where_it_uses_them(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path)
    fused = fused_file(scene.dense(GROUP))
    assert fused in train.STAGE.files(scene, ProcessOptions())
    assert fused not in train.STAGE.files(scene, ProcessOptions(dense="off"))


def test_quick_points_are_made_where_no_pipeline_has_left_any(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path / "quick", is_for_training=True)
    quick = fused_file(scene.dense(GROUP), is_for_training=True)
    assert points_to_train_on(scene, GROUP) is None  # what failed since then left them behind
    record = StageRecord("fuse", "process", "key", {}, {}, {}, "", 1.0)
    stage_records.write(scene, "neuralangelo", record)
    assert read(scene) is not None
    assert not STAGES["fuse"].applies(scene, ProcessOptions())  # of no points it makes none
    write_landmarks(scene, 50)
    assert quick in train.STAGE.files(scene, ProcessOptions())
    given = scene_with_ball(tmp_path / "given")
    for name in ("neighbours", "depthmaps", "consistency", "fuse"):
        assert STAGES[name].applies(scene, ProcessOptions())
        assert not STAGES[name].applies(scene, ProcessOptions(dense="off"))
        assert not STAGES[name].applies(given, ProcessOptions())


def test_sparse_points_count_where_dense_ones_do_not_reach(tmp_path: Path) -> None:
    scene = scene_with_ball(tmp_path, 2000)
    cameras = transforms.read(scene.transforms)
    write_landmarks(scene, 1500, noise=0.0)
    sparse = sparse_points.read(scene, cameras.frames, cameras.region, CPU)
    dense = read(scene)
    assert dense is not None and sparse is not None
    assert mixed(dense, None) is dense
    both = mixed(dense, sparse)
    assert isinstance(both, MixedPoints)
    assert dense.reliance.is_whole and not both.reliance.is_whole
    assert 0 < len(both.sparse.points) < len(sparse.points)
    nearest = torch.cdist(both.sparse.points, dense.points).min(dim=1).values
    assert float(nearest.min()) > 0.03
    ball = dense_points.DensePoints(sparse.points, sparse.points, sparse.eyes)
    assert mixed(ball, sparse) is ball  # each sparse one is dense too

    def loss(field) -> float:
        return float(both.loss(field, 2000, Draws(torch.Generator().manual_seed(0))))

    def only_ball(points: torch.Tensor) -> torch.Tensor:
        return points.norm(dim=1) - RADIUS

    def ball_and_sparse(points: torch.Tensor) -> torch.Tensor:
        near = torch.cdist(points, both.sparse.points).min(dim=1).values - 0.01
        return torch.minimum(only_ball(points), near)

    assert loss(ball_and_sparse) < loss(only_ball)
