"""The scene contract: atomic writes, region, transforms, checkpoints, options."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maquette.errors import BadInput, ConfigError, JobFailed, NotFound
from maquette.pipelines import options
from maquette.pipelines.neuralangelo.options import ExtractOptions, ProcessOptions
from maquette.pipelines.prepare import PrepareOptions
from maquette.scene import atomic, checkpoints, lock, stage_records, transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.stage_records import StageRecord
from maquette.scene.transforms import Frame, Intrinsics, Transforms

finite = st.floats(-1e3, 1e3)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_what_killed_processes_left_goes_when_nobody_writes_it_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "stereo" / "depth_maps"
    with pytest.raises(RuntimeError), atomic.replacing(folder / "0001.png.bin") as temporary:
        prefix = temporary.name[:5]
        raise RuntimeError
    old, new, ours = (folder / name for name in (f"{prefix}a.bin", f"{prefix}b.bin", "c.bin"))
    for path in (old, new, ours):
        path.write_bytes(b"half")
    for path in (old, ours):
        os.utime(path, (1e9, 1e9))
    assert atomic.remove_abandoned(tmp_path) == 1
    assert sorted(folder.iterdir()) == [new, ours]


def test_a_folder_that_a_killed_process_left_goes(tmp_path: Path) -> None:
    with atomic.temporary_folder(tmp_path) as ended:
        (ended / "points.ply").write_bytes(b"half")
    assert not ended.exists()
    killed = tmp_path / ended.name
    (killed / "below").mkdir(parents=True)
    (killed / "below" / "points.ply").write_bytes(b"half")
    assert atomic.remove_abandoned(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_writes_to_a_scene(tmp_path: Path) -> None:
    scene, said = Scene(tmp_path / "thing"), list[str]()
    with lock.held(scene, said.append):
        with lock.held_if_free(scene) as is_ours:
            assert not is_ours
        with (
            pytest.raises(JobFailed, match="another step holds the scene `thing`") as caught,
            lock.held(scene, said.append, wait_s=0.0),
        ):
            pass
        assert f"process {os.getpid()} on " in caught.value.detail
    with lock.held_if_free(scene) as is_ours:
        assert is_ours
    assert len(said) == 1 and "waiting" in said[0]


def test_half_a_record_of_a_killed_process_is_none(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "photogrammetry")
    record = StageRecord("surface", "extract", "key", {}, {}, {}, "2026", 1.0)
    stage_records.write(scene, "photogrammetry", record)
    written = scene.records("photogrammetry") / "surface.json"
    (written.parent / ".tmp-abc.json").write_bytes(written.read_bytes())
    assert stage_records.read_all(scene, "photogrammetry") == [record]


@given(st.tuples(finite, finite, finite), st.floats(1e-3, 1e3), st.tuples(finite, finite, finite))
def test_unit_and_world_are_inverse(center: tuple, radius: float, point: tuple) -> None:
    region = Region.around(center, radius)
    back = region.world_from_unit(region.unit_from_world(point))
    assert np.allclose(back, point, atol=1e-6 * (radius + np.abs(center).max() + 1))


def test_region_contains_sphere_and_box() -> None:
    region = Region.around([0, 0, 0], 2, [[-1, 1], [-2, 2], [-2, 2]])
    assert region.contains([[0, 0, 0], [1.5, 0, 0], [0, 1.5, 1.5], [0, 1.9, 0]]).tolist() == [
        True, False, False, True,
    ]  # fmt: skip
    assert np.allclose(region.unit_box(), [[-0.5, 0.5], [-1, 1], [-1, 1]])


def test_region_digest_follows_the_region() -> None:
    region = Region.around([1, 2, 3], 4)
    assert region.digest == Region.around([1, 2, 3], 4 * (1 + 1e-13)).digest
    assert region.digest != Region.around([1, 2, 3], 4.001).digest


@pytest.mark.parametrize("radius", [0, -1, float("nan"), float("inf")])
def test_an_unusable_region_is_refused(radius: float) -> None:
    with pytest.raises(BadInput):
        Region.around([0, 0, 0], radius)


def some_transforms() -> Transforms:
    first = Intrinsics(640, 480, 500, 510, 320, 240)
    other = Intrinsics(320, 200, 250, 250, 160, 100)
    pose = np.eye(4)
    pose[:3, 3] = [1, 2, 3]
    frames = (Frame("images/1.jpg", pose, first), Frame("images/2.jpg", np.eye(4), other))
    return Transforms(frames, Region.around([0.1, 0.2, 0.3], 1.5))


def test_transforms_round_trip_with_several_cameras(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    transforms.write(path, some_transforms())
    read = transforms.read(path)
    assert read.region == some_transforms().region
    for mine, other in zip(read.frames, some_transforms().frames, strict=True):
        assert mine.intrinsics == other.intrinsics
        assert np.array_equal(mine.world_from_cam, other.world_from_cam)


def test_transforms_on_disk_are_neuralangelos(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    transforms.write(path, some_transforms())
    document = json.loads(path.read_text())
    matrix = np.array(document["frames"][0]["transform_matrix"])
    assert np.array_equal(matrix[:3, :3], np.diag([1, -1, -1]))  # OpenGL: y up, z back
    assert matrix[:3, 3].tolist() == [1, 2, 3]
    assert document["aabb_scale"] == 2.0 and document["k1"] == 0.0 and document["w"] == 640
    assert document["camera_angle_x"] == pytest.approx(2 * np.arctan(320 / 500))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"frames": []}', '{"frames": [{"a": 1}]}'])
def test_unusable_transforms_are_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_text(text)
    with pytest.raises(BadInput):
        transforms.read(path)
    with pytest.raises(NotFound):
        transforms.read(tmp_path / "missing.json")


def make_checkpoint(run: Path, iteration: int) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    path = run / checkpoints.checkpoint_name(iteration // 50, iteration)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", "x" * 1000)
    return path


def test_checkpoint_names_are_upstreams() -> None:
    name = "epoch_00020_iteration_000001000_checkpoint.pt"
    assert checkpoints.checkpoint_name(20, 1000) == name
    assert checkpoints.iteration_of(name) == 1000
    assert checkpoints.iteration_of("latest_checkpoint.pt") is None


def test_newest_checkpoint_is_the_pointers(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None
    older, newer = make_checkpoint(tmp_path, 500), make_checkpoint(tmp_path, 1000)
    (tmp_path / checkpoints.POINTER).write_text(f"latest_checkpoint: {older.name}\n")
    assert checkpoints.newest(tmp_path) == checkpoints.Choice(older)
    checkpoints.write_pointer(tmp_path, newer.name)
    assert checkpoints.newest(tmp_path) == checkpoints.Choice(newer)


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "flipped", "pointer", "escape"])
def test_damage_falls_back_to_the_newest_whole_one_and_says_so(tmp_path: Path, damage: str) -> None:
    older, newer = make_checkpoint(tmp_path, 500), make_checkpoint(tmp_path, 1000)
    checkpoints.write_pointer(tmp_path, newer.name)
    content = bytearray(newer.read_bytes())
    if damage == "cut":
        newer.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        newer.write_bytes(b"")
    elif damage == "gone":
        newer.unlink()
    elif damage == "flipped":
        content[200] ^= 0xFF
        newer.write_bytes(content)
    elif damage == "pointer":
        (tmp_path / checkpoints.POINTER).unlink()
    else:
        (tmp_path / checkpoints.POINTER).write_text("../../etc/passwd\n")
    found = checkpoints.newest(tmp_path)
    assert found is not None and found.remark
    assert found.path == (newer if damage in ("pointer", "escape") else older)


def test_a_wanted_checkpoint_is_found_by_name_iteration_or_path(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 500)
    for wanted in (path.name, "500", str(path)):
        assert checkpoints.chosen(tmp_path, wanted).path == path
    with pytest.raises(NotFound):
        checkpoints.chosen(tmp_path, "501")


def test_options_report_everything_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        options.from_mapping(PrepareOptions, {"matchr": "x", "frames": "3", "scene_type": "garden"})
    detail = caught.value.detail
    assert "nearest: `matcher`" in detail and "`frames`" in detail and "object | indoor" in detail


@pytest.mark.parametrize("kind", [PrepareOptions, ProcessOptions, ExtractOptions])
def test_options_round_trip(kind: type) -> None:
    assert options.from_mapping(kind, json.loads(json.dumps(options.to_mapping(kind())))) == kind()
