"""Saving a region: what stays, what is kept beside it, what is refused; files of other programs."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparse_models
from maquette.errors import BadInput, MaquetteError, NotFound
from maquette.scene import (
    checkpoints,
    facts,
    region_file,
    region_fits,
    stage_records,
    stale_runs,
    transforms,
)
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.stage_records import StageRecord
from maquette.scene.workspace import open_workspace

CENTER = np.array([1.0, 2.0, 3.0])
REGION = Region.around([1.0, 2.1, 3.2], 0.7, [[0, 2], [1, 3], [2, 4]])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    sketch = sparse_models.around(CENTER, 4.0, 8, sparse_models.ball(300, CENTER, 0.5))
    return sparse_models.write_workspace(tmp_path / "w", sketch)


def upstream_document(workspace: Path) -> dict:
    """The key set of Neuralangelo's converter and of the known add-on, plus keys of others."""
    opened = open_workspace(workspace)
    lens = opened.model.lenses[0].pinhole()
    flip = np.diag([1.0, -1, -1, 1])
    return {
        "camera_angle_x": 1.1, "camera_angle_y": 0.9, "fl_x": lens.fl_x, "fl_y": lens.fl_y,
        "sk_x": 0.0, "sk_y": 0.0, "k1": 0.0, "k2": 0.0, "k3": 0.0, "k4": 0.0, "p1": 0.0, "p2": 0.0,
        "is_fisheye": False, "cx": lens.cx, "cy": lens.cy, "w": lens.width, "h": lens.height,
        "aabb_scale": 4.0, "aabb_range": [[-1.0, 2.0], [-1.5, 2.5], [0.0, 5.0]],
        "sphere_center": [0.25, 0.5, 1.75], "sphere_radius": 3.5,
        "frames": [
            {"file_path": f"images/{name}", "transform_matrix": (pose @ flip).tolist(), "own": 7}
            for name, pose in zip(opened.model.names, opened.model.world_from_cam, strict=True)
        ],
        "their_key": {"deep": [1, 2.5e-17, None]},
    }  # fmt: skip


def test_files_of_upstream_and_of_the_known_add_on_are_read(workspace: Path) -> None:
    document = upstream_document(workspace)
    (workspace / "transforms.json").write_text(json.dumps(document, indent=2))
    opened = open_workspace(workspace)
    assert opened.saved == opened.region
    assert opened.region.center == (0.25, 0.5, 1.75) and opened.region.radius == 3.5
    assert opened.region.box == ((-1.0, 2.0), (-1.5, 2.5), (0.0, 5.0))
    poses = [frame.world_from_cam for frame in transforms.read(opened.scene.transforms).frames]
    assert np.allclose(poses, opened.model.world_from_cam, atol=1e-12)


def test_saving_keeps_every_other_key_and_the_old_file(workspace: Path) -> None:
    before = upstream_document(workspace)
    path = workspace / "transforms.json"
    path.write_text(json.dumps(before))
    old = path.read_bytes()
    open_workspace(workspace).save(REGION)
    after = json.loads(path.read_text())
    changed = {"aabb_range", "aabb_scale", "sphere_center", "sphere_radius"}
    assert {key: after[key] for key in before if key not in changed} == {
        key: before[key] for key in before if key not in changed
    }
    assert after.keys() - before.keys() == {region_file.SOURCE_KEY}
    assert (workspace / region_file.BACKUP).read_bytes() == old
    assert open_workspace(workspace).saved == REGION


def test_a_workspace_of_colmap_alone_gets_a_file_that_training_reads(workspace: Path) -> None:
    opened = open_workspace(workspace)
    assert opened.saved is None
    opened.save(REGION)
    read = transforms.read(workspace / "transforms.json")
    assert read.region == REGION
    assert [frame.intrinsics.width for frame in read.frames[:2]] == [64, 48]
    unit = read.region.unit_from_world(opened.model.points)
    assert np.allclose(read.region.world_from_unit(unit), opened.model.points, atol=1e-6)
    assert not (workspace / region_file.BACKUP).exists()


def test_two_windows_do_not_overwrite_each_other_silently(workspace: Path) -> None:
    open_workspace(workspace).save(REGION)
    mine, theirs = open_workspace(workspace), open_workspace(workspace)
    theirs.save(Region.around([0, 0, 0], 2))
    text = (workspace / "transforms.json").read_bytes()
    with pytest.raises(region_file.ChangedMeanwhile, match="changed the region"):
        mine.save(Region.around([0, 0, 0], 3))
    assert (workspace / "transforms.json").read_bytes() == text
    first = shutil.copytree(workspace, workspace.with_name("fresh"))
    (first / "transforms.json").unlink()
    unsaved, other = open_workspace(first), open_workspace(first)
    other.save(REGION)
    with pytest.raises(region_file.ChangedMeanwhile):
        unsaved.save(Region.around([0, 0, 0], 3))


def test_a_read_only_folder_changes_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_workspace(workspace).save(REGION)
    before = sorted(path.name for path in workspace.iterdir())

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "read-only", str(workspace))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)  # root may write anywhere
    with pytest.raises(OSError, match="read-only"):
        open_workspace(workspace).save(Region.around([0, 0, 0], 3))
    assert open_workspace(workspace).saved == REGION
    assert sorted(path.name for path in workspace.iterdir()) == before


def break_workspace(root: Path, how: str) -> None:
    if how == "nothing":
        shutil.rmtree(root)
    elif how == "empty":
        shutil.rmtree(root / "images")
        shutil.rmtree(root / "sparse")
    elif how == "no images":
        shutil.rmtree(root / "images")
    elif how == "no model":
        shutil.rmtree(root / "sparse")
    elif how == "other images":
        for path in list((root / "images").iterdir()):
            path.rename(path.with_name("other_" + path.name))
    elif how == "other transforms":
        document = upstream_document(root)
        for frame in document["frames"]:
            frame["file_path"] = frame["file_path"].replace("images/", "images/other_")
        (root / "transforms.json").write_text(json.dumps(document))
    elif how == "no points":
        (root / "sparse/0/points3D.bin").write_bytes(bytes(8))
    elif how == "garbled":
        (root / "transforms.json").write_text("{}")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("nothing", "no folder"), ("empty", "no COLMAP workspace"), ("no images", "no folder of"),
        ("no model", "no COLMAP model"), ("other images", "not of one scene"),
        ("other transforms", "not of one scene"), ("no points", "only 0 points"),
        ("garbled", "lacks or garbles"),
    ],
)  # fmt: skip
def test_bad_workspaces_are_told_apart(workspace: Path, how: str, says: str) -> None:
    break_workspace(workspace, how)
    with pytest.raises((BadInput, NotFound), match=says) as caught:
        open_workspace(workspace)
    assert isinstance(caught.value, MaquetteError) and caught.value.hint


def test_missing_photos_are_a_remark(workspace: Path) -> None:
    (workspace / "images" / sparse_models.name_of(3)).unlink()
    assert "1 of 8 pictures are missing" in open_workspace(workspace).remarks[0]


def train(workspace: Path, group: str, region: Region, digest: str = "") -> None:
    run = Scene(workspace, "neuralangelo").run(group)
    run.mkdir(parents=True)
    with zipfile.ZipFile(run / checkpoints.checkpoint_name(1, 100), "w") as archive:
        archive.writestr(
            "x/data.pkl", b"\x80\x02digest" + (digest or region.sphere_digest).encode() + b"."
        )


def test_a_change_after_training_says_what_must_run_again(workspace: Path) -> None:
    other = Region.around([0, 0, 0], 2)
    train(workspace, "old", other)
    train(workspace, "new", REGION)
    train(workspace, "old.1", other)  # set aside by FRESH=1
    (again,) = stale_runs.rerun_advice(Scene(workspace), REGION)
    assert "runs/neuralangelo/old " in again and "make process MODEL=w GROUP=old FRESH=1" in again
    assert "make extract" in again
    assert [run.name for run in stale_runs.find(Scene(workspace), other)] == ["new"]


def test_a_training_stands_where_only_the_box_changed(workspace: Path) -> None:
    train(workspace, "new", REGION)
    train(workspace, "of-before", REGION, REGION.digest)  # as checkpoints named it once
    cropped = replace(REGION, box=Region.around(REGION.center, REGION.radius / 2).box)
    found = stale_runs.find(Scene(workspace), cropped)
    assert [run.name for run in found] == ["of-before"]  # that its sphere is the same is not told
    assert not stale_runs.find(Scene(workspace), REGION)


def test_results_of_another_box_are_extracted_again(workspace: Path) -> None:
    scene = Scene(workspace, "neuralangelo")
    opened = open_workspace(workspace)
    opened.save(REGION)
    train(workspace, "experiments", REGION)
    for stage, step, fact in (("train", "process", "sphere"), ("mesh", "extract", "region")):
        inputs = {f"fact:{fact}": facts.digest(scene, fact)}
        record = StageRecord(stage, step, "key", {"group": "experiments"}, inputs, {}, "", 1.0)
        stage_records.write(scene, "neuralangelo", record)
    assert stale_runs.rerun_advice(scene, REGION) == []
    cropped = replace(REGION, box=Region.around(REGION.center, REGION.radius / 2).box)
    open_workspace(workspace).save(cropped)
    (again,) = stale_runs.rerun_advice(scene, cropped)
    assert again == (
        "the results of neuralangelo are of another region: "
        "run `make extract MODEL=w GROUP=experiments`"
    )


def test_a_training_that_reads_no_region_stands(workspace: Path) -> None:
    train(workspace, "experiments", Region.around([0, 0, 0], 2))
    record = StageRecord("train", "process", "key", {}, {"fact:cameras": ""}, {}, "", 1.0)
    stage_records.write(Scene(workspace, "neuralangelo"), "neuralangelo", record)
    assert stale_runs.rerun_advice(Scene(workspace), REGION) == []


seeds = st.integers(0, 10_000)
few = settings(deadline=None, max_examples=30)


@few
@given(seeds, st.floats(0.05, 1.0))
def test_a_fit_holds_the_share_of_points_asked_for(seed: int, share: float) -> None:
    points = sparse_models.ball(400, CENTER, 2.0, seed) * [1, 2, 0.5]
    region = region_fits.around_points(points, share)
    inside = region.contains(points).mean()
    assert share - 1e-9 <= inside <= share + 0.06 + 0.1 * (1 - share)


@few
@given(seeds)
def test_the_enclosing_ball_is_close_to_the_smallest(seed: int) -> None:
    random = np.random.default_rng(seed)
    away = random.normal(size=(3000, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    points = 5 + 3 * away  # on a sphere of radius 3: that is the smallest ball
    region = region_fits.around_points(points)
    assert region.contains(points).all()
    assert region.radius == pytest.approx(3 * region_fits.MARGIN, rel=0.02)


def test_far_points_do_not_matter_to_a_fit_that_may_leave_them_out() -> None:
    points = sparse_models.ball(1000, CENTER, 1.0)
    wild = np.concatenate([points, sparse_models.ball(15, CENTER, 500.0)])
    assert region_fits.around_points(wild, 0.98).radius < 1.1


@pytest.mark.parametrize(("neighbours", "farthest"), [(2, 2.0), (3, 5.0)])
def test_a_far_point_counts_when_it_is_in_company(neighbours: int, farthest: float) -> None:
    near = sparse_models.ball(100, np.zeros(3), 1.0)
    tip = np.array([[5.0 - 0.1 * step, 0, 0] for step in range(neighbours + 1)])
    points = np.concatenate([near, tip, [[9.0, 0, 0]]])
    found = region_fits.farthest_in_company(points, np.zeros(3), 2.0, 0.5)
    assert found == pytest.approx(farthest)


@pytest.mark.parametrize("share", [0.0, 1.5, -1.0])
def test_an_unusable_share_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="share"):
        region_fits.around_points(np.eye(3), share)
    with pytest.raises(BadInput):
        region_fits.around_points(np.ones((5, 3)))
