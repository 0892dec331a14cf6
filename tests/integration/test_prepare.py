"""`prepare` on photos with known cameras: right poses, nothing done twice, no kill loses it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from maquette.errors import BadInput
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.sfm import colmap, mapping, matching, pairs, preemption
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene import stage_records, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.scene.transforms import Frame, Transforms
from maquette.stages.pruning import prune
from maquette.stages.running import run_stages
from prepared_scenes import STAGES, TRUTH
from turns import linked_copy

Floats = NDArray[np.float64]
FEW = 12  # photos whose pairs are matched again


def prepare(scene: Scene, options: PrepareOptions) -> list[StageRecord]:
    scene.stages.mkdir(parents=True, exist_ok=True)
    stages = [import_module(f"maquette.recon.stages.common.{name}").STAGE for name in STAGES]
    return run_stages(stages, "prepare", scene, options, Progress(scene.events, io.StringIO()))


@pytest.fixture(scope="module")
def options(photos: Path) -> PrepareOptions:
    return PrepareOptions(input=str(photos))


@pytest.fixture(scope="module", name="prepared")
def prepared_scene(prepared: Path) -> Scene:
    return Scene(prepared / "scenes" / "thing")


@pytest.fixture
def copied(prepared: Scene, tmp_path: Path) -> Scene:
    return Scene(linked_copy(prepared.root, tmp_path / "ball"))


def record_bytes(scene: Scene) -> dict[str, bytes]:
    return {name: (scene.records("common") / f"{name}.json").read_bytes() for name in STAGES}


def matched(scene: Scene, truth: list[Frame]) -> tuple[Floats, Floats]:
    """Found and true world_from_cam of the posed photos, [N, 4, 4] each."""
    mapping_file = json.loads((scene.root / "images_raw.json").read_text())["images"]
    true = {f"images/{entry['name']}": truth[int(entry["original"][:4])] for entry in mapping_file}
    frames = transforms.read(scene.transforms).frames
    found = np.array([frame.world_from_cam for frame in frames])
    return found, np.array([true[frame.file_path].world_from_cam for frame in frames])


def align(found: Floats, true: Floats) -> tuple[Floats, Floats]:
    """Errors after the best similarity: position [N] world units, rotation [N] degrees."""
    source, target = found[:, :3, 3], true[:, :3, 3]
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ sign @ vt
    scale = (values * np.diag(sign)).sum() / (a**2).sum()
    offset = np.linalg.norm(scale * a @ turn.T - b, axis=1)
    between = np.swapaxes(turn @ found[:, :3, :3], 1, 2) @ true[:, :3, :3]
    cosine = (np.trace(between, axis1=1, axis2=2) - 1) / 2
    return offset, np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_poses_agree_with_the_truth(prepared: Scene) -> None:
    found, true = matched(prepared, TRUTH)
    offset, angle_deg = align(found, true)
    assert len(found) >= 0.95 * len(TRUTH)
    assert 1e-6 < np.median(offset) < 0.02  # cameras stand 2.5 away
    assert offset.max() < 0.06
    assert 1e-5 < np.median(angle_deg) < 0.5
    assert angle_deg.max() < 1.5


def test_focal_length_is_found(prepared: Scene) -> None:
    focal_px = transforms.read(prepared.transforms).frames[0].intrinsics.fl_x
    assert focal_px == pytest.approx(TRUTH[0].intrinsics.fl_x, rel=0.03)


def test_the_region_holds_the_object(prepared: Scene) -> None:
    numbers = stage_records.read(prepared, "region").numbers  # type: ignore[union-attr]
    assert numbers["rule"] == "poses"
    assert numbers["points_inside"] > 0.5 * (numbers["points_inside"] + numbers["points_outside"])


def test_the_result_is_a_colmap_workspace(prepared: Scene) -> None:
    model = pycolmap.Reconstruction(prepared.sparse)
    frames = transforms.read(prepared.transforms).frames
    assert {camera.model.name for camera in model.cameras.values()} == {"PINHOLE"}
    assert {f"images/{image.name}" for image in model.images.values()} == {
        frame.file_path for frame in frames
    }
    for image in model.images.values():
        with Image.open(prepared.images / image.name) as picture:
            assert picture.size == (image.camera.width, image.camera.height)
    assert model.compute_mean_reprojection_error() < 1.0
    document = transforms.read_document(prepared.transforms)
    assert (prepared.root / document["ply_file_path"]).stat().st_size > 1000
    settings = yaml.safe_load(prepared.config.read_text())
    camera = frames[0].intrinsics
    assert settings["data"]["train"]["image_size"] == [camera.height, camera.width]
    left = [path.name for path in prepared.root.rglob(".*") if path.name != ".lock"]
    assert left == []


def test_a_second_run_does_nothing(prepared: Scene, options: PrepareOptions) -> None:
    before = record_bytes(prepared)
    prepare(prepared, options)
    prepare(prepared, replace(options, input=""))
    assert record_bytes(prepared) == before


def test_forcing_poses_repeats_them_and_what_follows(
    copied: Scene, options: PrepareOptions
) -> None:
    before, cameras = record_bytes(copied), transforms.read(copied.transforms).frames
    prepare(copied, replace(options, force_stage="poses"))
    after = record_bytes(copied)
    first = STAGES.index("poses")
    assert all(before[name] == after[name] for name in STAGES[:first])
    assert all(before[name] != after[name] for name in STAGES[first:])
    again = transforms.read(copied.transforms).frames
    assert_same_cameras(again, cameras)


def test_pruned_pictures_are_made_again_alike_for_who_reads_them(
    copied: Scene, options: PrepareOptions
) -> None:
    stages = [import_module(f"maquette.recon.stages.common.{name}").STAGE for name in STAGES]
    known, before = [("common", stage) for stage in stages], pictures(copied.images_raw)
    prune(copied, known, Progress(log=io.StringIO()))
    assert not pictures(copied.images_raw) and copied.database.is_file()
    records = record_bytes(copied)
    prepare(copied, options)
    assert record_bytes(copied) == records and not pictures(copied.images_raw)
    straight = pictures(copied.images)
    prepare(copied, replace(options, force_stage="undistort"))
    assert pictures(copied.images_raw) == before and pictures(copied.images) == straight


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same_cameras(one: tuple[Frame, ...], other: tuple[Frame, ...]) -> None:
    """The same photos, and poses equal but for the rounding of parallel sums."""
    assert [frame.file_path for frame in one] == [frame.file_path for frame in other]
    offset, angle_deg = align(*(np.array([f.world_from_cam for f in fs]) for fs in (one, other)))
    assert offset.max() < 2e-2
    assert angle_deg.max() < 0.3


def test_the_persons_region_survives_a_rerun(copied: Scene, options: PrepareOptions) -> None:
    current = transforms.read(copied.transforms)
    own = type(current.region).around(current.region.center, current.region.radius / 3)
    transforms.write(
        copied.transforms, Transforms(current.frames, own), extra={"region_source": "user"}
    )
    records = prepare(copied, replace(options, force_stage="region"))
    assert transforms.read(copied.transforms).region == own
    assert records[STAGES.index("region")].numbers["rule"] == "user"


def test_photos_of_unlike_things_fail_with_a_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "given").mkdir()
    for index in range(4):
        noise = rng.integers(0, 255, (20, 27, 3), np.uint8)
        picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
        picture.save(tmp_path / "given" / f"{index}.png")
    with pytest.raises(BadInput, match=r"same thing|0 of 4 images") as caught:
        prepare(Scene(tmp_path / "noise"), PrepareOptions(input=str(tmp_path / "given")))
    assert caught.value.hint


def test_two_halves_of_a_model_are_joined(prepared: Scene, tmp_path: Path) -> None:
    names = colmap.image_names(prepared.database)
    halves = [names[:15], names[9:]]
    whole = pycolmap.Reconstruction(prepared.distorted)
    models = []
    for kept in halves:
        model = pycolmap.Reconstruction(prepared.distorted)
        for image in whole.images.values():
            if image.name not in kept and image.has_pose:
                model.deregister_frame(image.frame_id)
        models.append(model)
    turn = pycolmap.Rotation3d(np.array([0.0, 0.6, 0.0, 0.8]))
    models[1].transform(pycolmap.Sim3d(3.0, turn, np.array([1.0, 2.0, 3.0])))
    joined = mapping.join(
        models, prepared.database, prepared.images_raw, tmp_path / "work", mapping.MappingOptions()
    )
    assert joined is not None
    assert joined.num_reg_images() == whole.num_reg_images()
    assert joined.compute_mean_reprojection_error() < 1.0
    assert joined.num_points3D() > 0.5 * whole.num_points3D()


@pytest.mark.parametrize("processes", [1, 3])
def test_matches_are_the_same_however_many_processes_find_them(
    prepared: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(colmap, "threads", lambda: processes)
    names = colmap.image_names(prepared.database)
    wanted = pairs.exhaustive(FEW)
    again = tmp_path / "again.db"
    colmap.copy(prepared.database, again)
    before = of_the_first(again, FEW)
    matching.clear(again)
    matching.match(again, names, wanted[:50], 0, Progress(None, io.StringIO()))
    assert of_the_first(again, FEW)[0].keys() < before[0].keys()
    matching.match(again, names, wanted, 0, Progress(None, io.StringIO()))  # the rest alone
    for found, expected in zip(of_the_first(again, FEW), before, strict=True):
        assert list(found) == list(expected) and len(found) > FEW
        assert all(np.array_equal(found[pair], expected[pair]) for pair in found)
    assert list(tmp_path.iterdir()) == [again]


def test_preemptive_matching_finds_the_pairs_that_matter(
    prepared: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preemption, "STRONGEST", 300)
    names = colmap.image_names(prepared.database)
    expected = matching.inliers(prepared.database, names)
    again = tmp_path / "again.db"
    colmap.copy(prepared.database, again)
    matching.clear(again)
    wanted = pairs.exhaustive(FEW)
    preemption.match(again, names, wanted, 0, Progress(None, io.StringIO()))
    found = matching.inliers(again, names)
    assert len(found) < len(wanted)
    assert all(expected[pair] == number for pair, number in found.items())  # matched in full
    many = {pair for pair in wanted if expected.get(pair, 0) > 100}
    assert many and many <= found.keys()
    assert list(tmp_path.iterdir()) == [again]


def of_the_first(database: Path, count: int) -> tuple[dict[int, Any], dict[int, Any]]:
    """Matches and verified matches among the first pictures, by pair."""
    first = set(colmap.image_names(database)[:count])
    with colmap.opened(database) as handle:
        names = {image.image_id: image.name for image in handle.read_all_images()}

        def among(pair: int) -> bool:
            return {names[one] for one in pycolmap.pair_id_to_image_pair(pair)} <= first

        matches = dict(zip(*handle.read_all_matches(), strict=True))
        pair_ids, geometries = handle.read_two_view_geometries()
        verified = {p: g.inlier_matches for p, g in zip(pair_ids, geometries, strict=True)}
    return tuple(
        {p: found for p, found in all_.items() if among(p)} for all_ in (matches, verified)
    )
