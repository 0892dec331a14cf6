"""Pairs, retrieval, cameras, masks, gate: the parts of structure from motion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from maquette.errors import BadInput, ConfigError
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames import folders
from maquette.recon.sfm import (
    cameras,
    colmap,
    mapping,
    masks,
    pairs,
    registration,
    retrieval,
)
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.features import FeatureOptions
from maquette.recon.sfm.mapping import MappingOptions, Quality
from maquette.recon.sfm.registration import Begun
from maquette.recon.sfm.workspace import Attempt, PoseOptions, Workspace
from maquette.recon.stages.common import dataset, features, matches, poses, region, undistort
from maquette.recon.stages.common import frames as frames_stage
from maquette.recon.stages.common import input as input_stage
from maquette.scene import originals
from maquette.scene.events import Progress
from maquette.scene.masks import raw
from maquette.scene.paths import Scene

few = settings(deadline=None, max_examples=50)


@few
@given(st.integers(0, 60))
def test_exhaustive_means_every_pair_once(count: int) -> None:
    assert sorted(pairs.exhaustive(count)) == list(combinations(range(count), 2))


@few
@given(st.integers(2, 300), st.integers(1, 12))
def test_sequential_pairs_are_near_or_a_power_of_two_away(count: int, overlap: int) -> None:
    made = pairs.sequential(count, overlap)
    assert len(set(made)) == len(made)
    steps = {second - first for first, second in made}
    assert all(step <= overlap or step & (step - 1) == 0 for step in steps)
    assert {(i, i + 1) for i in range(count - 1)} <= set(made)  # an unbroken chain


@few
@given(st.integers(0, 1000), st.integers(12, 40))
def test_look_alikes_are_far_apart_in_order_and_the_most_alike(seed: int, count: int) -> None:
    descriptors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    made = set(pairs.similar(descriptors, neighbours=2, gap=5))
    assert all(second - first > 5 for first, second in made)
    for i in range(count):
        far = [j for j in range(count) if abs(i - j) > 5]
        if far:
            best = max(far, key=lambda j: float(descriptors[i] @ descriptors[j]))
            assert (min(i, best), max(i, best)) in made


def test_a_loop_is_closed_where_the_path_returns() -> None:
    angles = np.linspace(0, 2 * np.pi, 60)
    path = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    made = pairs.similar(path, neighbours=3)
    assert any(first < 5 and second > 54 for first, second in made)


@pytest.mark.parametrize(
    ("matcher", "count", "is_video", "expected"),
    [
        ("auto", 30, False, "exhaustive"),
        ("auto", 31, False, "alike"),
        ("auto", 200, False, "alike"),
        ("auto", 201, False, "sequential"),
        ("exhaustive", 100, False, "exhaustive"),
        ("auto", pairs.EXHAUSTIVE_FRAMES, True, "exhaustive"),
        ("auto", pairs.EXHAUSTIVE_FRAMES + 1, True, "sequential"),
        ("exhaustive", 5000, True, "exhaustive"),
        ("sequential", 3, False, "sequential"),
    ],
)
def test_the_matcher_is_chosen_by_kind_and_count(
    matcher: str, count: int, is_video: bool, expected: str
) -> None:
    assert pairs.choose(matcher, count, is_video) == expected


@few
@given(st.integers(0, 1000))
def test_vlad_against_its_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    local, centres = rng.normal(size=(30, 6)), rng.normal(size=(4, 6))
    sums = np.zeros_like(centres)
    for row in local:
        nearest = int(np.argmin([np.linalg.norm(row - centre) for centre in centres]))
        sums[nearest] += row - centres[nearest]
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    expected = rooted.ravel() / np.linalg.norm(rooted)
    made = retrieval.vlad(local.astype(np.float32), centres.astype(np.float32))
    assert made == pytest.approx(expected, abs=1e-4)
    assert np.linalg.norm(made) == pytest.approx(1, abs=1e-5)


def test_vlad_of_nothing_is_zero() -> None:
    centres = np.ones((2, 3), np.float32)
    assert not retrieval.vlad(np.zeros((0, 3), np.float32), centres).any()


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        ("SIMPLE_RADIAL", "500,320,240", "has 3 numbers, SIMPLE_RADIAL has 4"),
        ("PINHOLE", "1,2,3,x", "not a list of numbers"),
        ("PINHOLE", "-5,5,3,4", "impossible"),
        ("PINHOLE", "nan,5,3,4", "impossible"),
        ("SIMPLE_RADAIL", "", "no camera model"),
        ("EQUIRECTANGULAR", "", "no camera model"),
        ("pinhole", "", "no camera model"),
    ],
)
def test_wrong_cameras_are_configuration_errors(model: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        cameras.check_parameters(cameras.check_model(model), text)
    assert caught.value.hint


def test_the_nearest_camera_model_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        cameras.check_model("OPENCV_FISHYE")
    assert "CAMERA_MODEL=OPENCV_FISHEYE" in caught.value.hint


def test_right_parameters_are_read() -> None:
    assert cameras.check_parameters("SIMPLE_RADIAL", " 500, 320,240 ,-0.1") == [500, 320, 240, -0.1]
    assert cameras.check_parameters("SIMPLE_RADIAL", "") == []


def photo(path: Path, size: tuple[int, int] = (40, 30), focal: float | None = None) -> None:
    exif = Image.Exif()
    if focal:
        exif[ExifTags.Base.Model] = "Box 1"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = focal
    Image.new("RGB", size).save(path, exif=exif.tobytes())


def test_pictures_are_grouped_by_size_and_lens(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", focal=35.0)
    photo(tmp_path / "2.jpg", focal=50.0)
    photo(tmp_path / "3.jpg", focal=35.0)
    photo(tmp_path / "4.jpg", size=(30, 40), focal=35.0)
    photo(tmp_path / "5.jpg")
    names = [f"{number}.jpg" for number in range(1, 6)]
    groups = cameras.group_by_camera(tmp_path, names)
    assert groups == [["1.jpg", "3.jpg"], ["2.jpg"], ["4.jpg"], ["5.jpg"]]


@pytest.mark.parametrize("name", ["000001.jpg.png", "000001.png", "IMG_7.JPG.png", "img_7.PNG"])
def test_masks_are_found_under_every_usual_name(tmp_path: Path, name: str) -> None:
    scene = Scene(tmp_path)
    scene.images_raw.mkdir()
    scene.masks.mkdir()
    assert raw(scene).by_picture == {}
    for number in (1, 2):
        photo(scene.images_raw / f"{number:06}.jpg")
    images = [{"name": "000001.jpg", "original": "IMG_7.JPG"},
              {"name": "000002.jpg", "original": "IMG_8.JPG"}]  # fmt: skip
    (tmp_path / "images_raw.json").write_text(json.dumps({"source": "photos", "images": images}))
    Image.new("L", (20, 15), 0).save(scene.masks / name, format="PNG")
    assert list(raw(scene).by_picture) == ["000001.jpg"]
    with masks.for_colmap(scene) as folder:
        assert folder is not None
        values = {path.name: Image.open(path).getextrema() for path in folder.iterdir()}
    assert values == {"000001.jpg.png": (0, 0), "000002.jpg.png": (255, 255)}


def test_masks_that_belong_to_nothing_are_an_error(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.masks.mkdir()
    Image.new("L", (4, 4)).save(scene.masks / "other.png")
    document = {"source": "photos", "images": [{"name": "000001.jpg", "original": "a.jpg"}]}
    (tmp_path / "images_raw.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="of 1 mask none belongs"):
        raw(scene)


def quality(registered: int, error_px: float = 0.5, points: int = 100) -> Quality:
    return Quality(registered, -error_px, 10, points, 3.0)


@pytest.mark.parametrize(
    ("measured", "passes"),
    [
        (quality(6), True),
        (quality(5), False),
        (quality(10, error_px=2.0), True),
        (quality(10, error_px=2.01), False),
        (quality(10, points=0), False),
        (mapping.quality_of(None, 10), False),
    ],
)
def test_the_gate_has_two_sides(measured: Quality, passes: bool) -> None:
    assert measured.passes(0.6) is passes


def test_more_images_win_then_the_smaller_error() -> None:
    assert quality(7, 1.5) > quality(6, 0.1) > quality(6, 0.2) > mapping.quality_of(None, 10)


def registered_by(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    results: list[int | None],
    images: int = 10,
    is_video: bool = True,
) -> tuple[list[str], Attempt]:
    tried: list[str] = []

    def method(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
        registered = results[int(name)]
        if registered is None:
            return None
        begun()
        tried.append(name)
        return Attempt(name, tmp_path, None, replace(quality(registered), images=images))

    methods = tuple((str(number), "harder", method) for number in range(len(results)))
    monkeypatch.setattr(registration, "METHODS", methods)
    scene = Scene(tmp_path / "lego")
    with open(tmp_path / "log", "w") as log:
        return tried, registration.register(
            Workspace(scene, tmp_path, PoseOptions(is_video=is_video), Progress(None, log))
        )


@pytest.mark.parametrize(
    ("results", "tried", "used"),
    [([6], 1, "0"), ([3, 8], 2, "1"), ([3, None, 10], 2, "2"), ([0, 2, 6, 9], 3, "2")],
)
def test_stronger_methods_are_tried_until_the_gate_opens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, results: list[int], tried: int, used: str
) -> None:
    names, best = registered_by(monkeypatch, tmp_path, results)
    assert (len(names), best.method) == (tried, used)


def test_the_best_failure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="only 4 of 10 images found a pose: `lego`") as caught:
        registered_by(monkeypatch, tmp_path, [2, 4, 3])
    assert caught.value.detail.startswith("40.0 % registered, gate is 60 %")
    assert caught.value.detail.endswith("tried: 0, 1, 2")


def test_only_what_was_done_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        registered_by(monkeypatch, tmp_path, [2, None, 3])
    assert caught.value.detail.endswith("tried: 0, 2")
    assert (tmp_path / "log").read_text().count("images have a pose: harder") == 1


def test_what_was_tried_names_the_solve_of_all_poses_at_once_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def both_ways(workspace: Workspace, name: str, begun: Begun) -> Attempt:
        return registration._mapped_both_ways(workspace, name, tmp_path)

    def in_vain(workspace: Workspace, name: str, begun: Begun) -> None:
        begun()

    def mapped(workspace: Workspace, name: str, database: Path, mapper: object) -> Attempt:
        return Attempt(name, database, None, replace(quality(2), images=10))

    methods = (("few", "", both_ways), ("more", "looking for more", in_vain))
    monkeypatch.setattr(registration, "METHODS", methods)
    monkeypatch.setattr(registration, "_mapped", mapped)
    with open(tmp_path / "log", "w") as log, pytest.raises(BadInput) as caught:
        registration.register(
            Workspace(Scene(tmp_path / "lego"), tmp_path, PoseOptions(), Progress(None, log))
        )
    assert caught.value.detail.endswith("tried: few, few-global, more")


@pytest.mark.parametrize(
    ("images", "is_video", "told", "left_out"),
    [
        (50, True, "FRAMES=200`", "MATCHER"),  # every pair was matched
        (500, True, "FRAMES=1000 MATCHER=exhaustive`", "photos"),
        (4, False, "more photos between these", "FRAMES"),
    ],
)
def test_advice_fits_the_input(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    images: int,
    is_video: bool,
    told: str,
    left_out: str,
) -> None:
    with pytest.raises(BadInput) as caught:
        registered_by(monkeypatch, tmp_path, [2], images, is_video)
    assert told in caught.value.hint and left_out not in caught.value.hint


def test_photos_without_a_pose_have_the_names_that_the_person_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene = Scene(tmp_path / "lego")
    scene.root.mkdir()
    images = [{"name": f"{n:06}.jpg", "original": f"IMG_{n}.JPG"} for n in range(1, 9)]
    (scene.root / "images_raw.json").write_text(json.dumps({"source": "photos", "images": images}))
    assert originals.without_pose(scene, ["000001.jpg"])[0] == "IMG_2.JPG"
    assert originals.names(scene, ["000001.jpg", "x.jpg"]) == ["IMG_1.JPG", "x.jpg"]
    monkeypatch.setattr(registration, "posed", lambda attempt: ["000001.jpg"])
    with pytest.raises(BadInput) as caught:
        registered_by(monkeypatch, tmp_path, [1], 8, is_video=False)
    assert "7 of 8 photos without a pose: IMG_2.JPG, IMG_3.JPG" in caught.value.detail
    assert "IMG_6.JPG and 2 more" in caught.value.detail
    (scene.root / "images_raw.json").write_text(json.dumps({"source": "video", "images": images}))
    assert originals.without_pose(scene, []) == [] and originals.is_video(scene)


def test_known_intrinsics_are_kept_fixed_and_the_seed_is_everywhere() -> None:
    free = mapping.mapper_options(MappingOptions(seed=7), 20)
    assert free.ba_refine_focal_length and free.ba_refine_extra_params
    assert not free.ba_refine_principal_point
    assert {free.random_seed, free.mapper.random_seed, free.triangulation.random_seed} == {7}
    known = FeatureOptions(camera_params="500,320,240,0")
    fixed = mapping.mapper_options(PoseOptions(known, refine_principal_point=True).mapping, 20)
    assert not (fixed.ba_refine_focal_length or fixed.ba_refine_extra_params)
    assert fixed.ba_refine_principal_point


def test_a_database_copy_is_independent(tmp_path: Path) -> None:
    colmap.create(one := tmp_path / "a.db")
    with colmap.opened(one) as database:
        camera = pycolmap.Camera.create_from_model_name(1, "PINHOLE", 5.0, 4, 4)
        database.write_camera(camera)
        colmap.copy(one, two := tmp_path / "b.db")  # still open: the write stands in the log
    with colmap.opened(two) as database:
        assert database.num_cameras() == 1
        database.clear_cameras()
    colmap.settle(two)
    assert sorted(path.name for path in tmp_path.glob("b.db*")) == ["b.db"]
    with colmap.opened(one) as database:
        assert database.num_cameras() == 1


def test_the_log_of_a_killed_reader_does_not_corrupt_the_next_database(tmp_path: Path) -> None:
    path = tmp_path / "database.db"
    program = f"""
import os, signal
from pathlib import Path
from maquette.recon.sfm.colmap import pycolmap, opened
with opened(Path({str(path)!r})) as database:
    for number in range(1, 200):
        camera = pycolmap.Camera.create_from_model_name(number, "PINHOLE", 5.0, 4, 4)
        database.write_camera(camera)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    colmap.create(path)
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (tmp_path / "database.db-wal").exists()
    with folders.replacing_file(path) as made:
        colmap.create(made)
        colmap.settle(made)
    with colmap.opened(path) as database:
        assert database.num_cameras() == 0


@pytest.mark.parametrize("before", ["signal.SIG_DFL", "stop"])
def test_pycolmap_does_not_take_our_signals(before: str) -> None:
    program = f"""
import os, signal, sys
def stop(number, frame): print("stopped politely", flush=True); sys.exit(7)
signal.signal(signal.SIGTERM, {before})
import maquette.recon.sfm.colmap
os.kill(os.getpid(), signal.SIGTERM)
signal.sigtimedwait([], 5)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "stack trace" not in done.stderr
    assert done.returncode == (7 if before == "stop" else -signal.SIGTERM)


def test_errors_of_colmap_are_shown_and_leave_no_files(tmp_path: Path) -> None:
    program = """
from maquette.recon.sfm.colmap import hush, pycolmap
model = pycolmap.synthesize_dataset(pycolmap.SyntheticDatasetOptions())
pycolmap.bundle_adjustment(model, pycolmap.BundleAdjustmentOptions())
hush()
pycolmap.logging.info("not shown")
pycolmap.logging.error("shown")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TMPDIR": str(tmp_path), "TEST_TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "] shown" in done.stderr and "not shown" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_stages_form_a_chain() -> None:
    stages = [module.STAGE for module in (input_stage, frames_stage, features, matches, poses,
                                          undistort, region, dataset)]  # fmt: skip
    seen: set[str] = set()
    known = set(PrepareOptions.__dataclass_fields__)
    for stage in stages:
        assert set(stage.after) <= seen
        assert bool(stage.after) == bool(seen)
        assert set(stage.parameters) <= known
        seen.add(stage.name)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for content in ("one", "two"):
        with folders.replacing_folder(target) as folder:
            (folder / content).touch()
    with pytest.raises(ValueError, match="stop"), folders.replacing_folder(target) as folder:
        (folder / "three").touch()
        raise ValueError("stop")
    assert [path.name for path in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]
