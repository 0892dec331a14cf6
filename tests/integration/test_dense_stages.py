"""The stages of photogrammetry's process, in a small scene with known surface."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image

import launching
from dense_ready import OPTIONS, VIEWS, contents, make_ready
from maquette.errors import BadInput, ConfigError, Interrupted
from maquette.pipelines.options import to_mapping
from maquette.pipelines.photogrammetry.options import ProcessOptions
from maquette.recon.executing import command, in_processes
from maquette.recon.geometry.points import read_points
from maquette.recon.mvs.colmap_files import filtered_file, map_files
from maquette.recon.stages.dense import consistency, depthmaps, fuse, neighbours
from maquette.recon.step import run_step
from maquette.scene import region_file, stale_runs, transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.commands import Commands
from maquette.stages.pruning import prune
from maquette.stages.running import run_stages
from maquette.stages.sharding import Executor
from synthetic_scene import CENTER, scene_distance
from turns import linked_copy, made_once

STAGES = [neighbours.STAGE, depthmaps.STAGE, consistency.STAGE, fuse.STAGE]


@pytest.fixture(scope="module")
def ready() -> Path:
    """A scene that is prepared, to be changed in a copy."""
    return made_once("dense ready", make_ready)


@pytest.fixture(scope="module")
def fused() -> Path:
    """The same after process."""
    return made_once("dense fused", make_fused)


def make_fused(root: Path) -> None:
    linked_copy(made_once("dense ready", make_ready), root)
    process(root)


def process(root: Path, progress: Progress | None = None, **options: Any) -> dict[str, Any]:
    """Run the step; the numbers of all stages."""
    scene = Scene(root, "photogrammetry")
    chosen = replace(OPTIONS, **options)
    told = progress or Progress(log=io.StringIO())
    records = run_stages(STAGES, "process", scene, chosen, told)
    return {record.stage: record.numbers for record in records}


def maps(root: Path) -> dict[str, int]:
    """All maps and when they were written."""
    stereo = root / "dense/photogrammetry/experiments" / "stereo"
    return {
        str(path.relative_to(stereo)): path.stat().st_mtime_ns for path in stereo.rglob("*.bin")
    }


class KillAfter(Progress):
    """Ends the step at its n-th photo of a stage; `seen` are the numbers of those before."""

    def __init__(self, photos: int, what: str = "photos") -> None:
        super().__init__(log=io.StringIO())
        self._left, self._what = photos, what
        self.seen: list[int] = []

    def step(self, name: str, done: int, total: int, **metrics: float | int | str) -> None:
        self._left -= name == self._what
        if self._left < 0:
            raise Interrupted("stopped on request")
        self.seen += [done] if name == self._what else []


def test_points_lie_on_the_surface_and_are_seen_by_three_or_more(fused: Path) -> None:
    numbers = process(fused)  # nothing runs again
    cloud = read_points(fused / "dense/photogrammetry/experiments" / "fused.ply")
    off = np.abs(scene_distance(cloud.points))
    assert len(cloud.points) == numbers["fuse"]["points"] > 4_000
    assert np.quantile(off, 0.5) < 0.01 and np.quantile(off, 0.9) < 0.05
    assert cloud.normals is not None
    near = np.linalg.norm(cloud.points - CENTER, axis=1) < 0.6
    outwards = ((cloud.points - CENTER) * cloud.normals).sum(1)[near]
    assert (outwards > 0).mean() > 0.95
    assert numbers["fuse"]["views_per_point"] >= 3
    assert numbers["neighbours"]["views"] == VIEWS and numbers["neighbours"]["long_side"] == 96


def test_colmap_fuses_our_maps_to_the_same_surface(fused: Path, tmp_path: Path) -> None:
    folder = linked_copy(fused / "dense/photogrammetry/experiments", tmp_path / "dense")
    (folder / "images").symlink_to(fused / "images")
    (folder / "sparse").symlink_to(fused / "sparse" / "0")
    options = pycolmap.StereoFusionOptions()
    options.min_num_pixels, options.max_normal_error = 3, 30.0
    options.max_reproj_error, options.num_threads = 1.5, 1
    (tmp_path / "theirs").mkdir()
    theirs = pycolmap.stereo_fusion(tmp_path / "theirs", folder, options=options)
    ours = read_points(folder / "fused.ply").points
    other = np.array([point.xyz for point in theirs.points3D.values()])
    assert len(other) > 0.5 * len(ours)
    errors = [np.quantile(np.abs(scene_distance(each)), [0.5, 0.9]) for each in (ours, other)]
    assert (errors[0] < 1.2 * errors[1]).all()


@pytest.mark.parametrize("photos", [5, VIEWS + 4])
def test_finished_photos_survive_a_kill_also_inside_a_shard(
    ready: Path, fused: Path, tmp_path: Path, photos: int
) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    with pytest.raises(Interrupted):
        process(root, KillAfter(photos))
    before = maps(root)
    assert len(before) == 2 * photos
    process(root)
    after = maps(root)
    assert before.items() <= after.items() and after.keys() == maps(fused).keys()
    ours, theirs = (each / "dense/photogrammetry/experiments/fused.ply" for each in (root, fused))
    assert ours.read_bytes() == theirs.read_bytes()


def executor_of(way: str, file: Path, chosen: ProcessOptions) -> Executor:
    """Two processes, or commands that read their options from a file."""
    if way == "two processes":
        return in_processes
    write_json(file, to_mapping(chosen))
    return Commands(
        lambda scene: launching.OneByOne(launching.run_here),
        lambda shard: command("photogrammetry", "process", file, shard),
    )


@pytest.mark.parametrize("way", ["commands", pytest.param("two processes", marks=pytest.mark.soak)])
def test_who_runs_the_shards_changes_no_byte(
    ready: Path, fused: Path, tmp_path: Path, way: str
) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    chosen = replace(OPTIONS, workers=2, n_images_per_group=VIEWS // 2)
    scene, quiet = Scene(root, "photogrammetry"), Progress(log=io.StringIO())
    executor = executor_of(way, tmp_path / "options.json", chosen)
    run_stages(STAGES, "process", scene, chosen, quiet, executor=executor)
    assert len(contents(fused)) == VIEWS and contents(root) == contents(fused)
    assert len(points_of(fused)) == VIEWS + 2 and points_of(root) == points_of(fused)
    for stage in STAGES[1:]:
        records = scene.records("photogrammetry") / stage.name
        assert len(list(records.glob("*-of-2.json"))) == 2


def test_fusion_goes_on_after_a_kill_with_the_photos_that_lack(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    with pytest.raises(Interrupted):
        process(root, KillAfter(8, "fused"), force_stage="fuse")
    after = KillAfter(VIEWS, "fused")
    process(root, after)
    assert after.seen == list(range(6, VIEWS))  # three photos are kept at a time
    assert points_of(root) == points_of(fused)
    assert not list(root.rglob("*.npz"))


def test_half_a_file_of_fused_points_is_made_again(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    with pytest.raises(Interrupted):
        process(root, KillAfter(8, "fused"), force_stage="fuse")
    last = max(root.rglob("stages/photogrammetry/fuse/*.npz"), key=lambda path: path.name)
    last.write_bytes(last.read_bytes()[:-200])
    after = KillAfter(VIEWS, "fused")
    process(root, after)
    assert after.seen == list(range(3, VIEWS)) and points_of(root) == points_of(fused)


def points_of(root: Path) -> dict[str, bytes]:
    """The filtered maps and what was fused of them, by their names."""
    folder = root / "dense/photogrammetry/experiments"
    files = [*folder.glob("stereo/filtered/*.bin"), *folder.glob("fused.ply*")]
    return {path.name: path.read_bytes() for path in files}


def test_a_shard_needs_no_more_of_the_scene_than_it_declares(
    ready: Path, fused: Path, tmp_path: Path
) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    scene, quiet = Scene(root, "photogrammetry"), Progress(log=io.StringIO())
    machines = launching.apart(tmp_path / "machines")
    run_stages(STAGES, "process", scene, OPTIONS, quiet, executor=machines)
    ours, theirs = (each / "dense/photogrammetry/experiments" for each in (root, fused))
    made = [path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()]
    assert all((ours / name).read_bytes() == (theirs / name).read_bytes() for name in made)
    photos = len(list((tmp_path / "machines" / "depthmaps:1").rglob("images/*")))
    assert 3 < photos < VIEWS, "those of its views and of their sources"


def test_a_damaged_map_is_made_again_alone(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    damaged, _ = map_files(
        root / "dense/photogrammetry/experiments/stereo", "0004.png", "photometric"
    )
    whole, before = damaged.read_bytes(), maps(root)
    damaged.unlink()
    damaged.write_bytes(whole[:-100])
    log = io.StringIO()
    process(root, Progress(log=log))
    assert "`0004.png`: a map of it is gone or damaged, and is made again alone" in log.getvalue()
    after = maps(root)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{kind}_maps/0004.png.photometric.bin" for kind in ("depth", "normal")}
    assert damaged.read_bytes() == whole


def test_a_map_that_can_not_be_read_says_which_and_how_to_make_it_again(
    fused: Path, tmp_path: Path
) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    damaged, _ = map_files(root / "dense/photogrammetry/experiments/stereo", "0004.png")
    size = damaged.stat().st_size
    damaged.unlink()
    damaged.write_bytes(b"?" * size)
    with pytest.raises(BadInput, match=r"0004.png.geometric.bin") as caught:
        process(root, force_stage="fuse")
    assert "remove it" in caught.value.hint
    damaged.unlink()
    process(root)


def test_another_photo_changes_its_own_maps_and_its_neighbours(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    masks = root / "masks"
    masks.mkdir()
    mask = np.full((72, 96), 255, np.uint8)
    mask[:, :40] = 0
    Image.fromarray(mask).save(masks / "0004.png")
    before = maps(root)
    process(root)
    after = maps(root)
    again = {name.split("/")[1][:4] for name in after if after[name] != before[name]}
    photometric = {
        name.split("/")[1][:4] for name in after
        if after[name] != before[name] and "photometric" in name
    }  # fmt: skip
    assert "0004" in photometric and len(photometric) < VIEWS and photometric <= again
    found = filtered_file(root / "dense/photogrammetry/experiments/stereo", "0004.png").read_bytes()
    depth = np.frombuffer(found[len("96&72&1&") :], "<f4").reshape(72, 96)
    assert not depth[:, :40].any() and depth[:, 40:].any()


def test_the_region_chooses_points_and_touches_no_map(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    before = maps(root)
    region = Region.around(CENTER, 0.5)
    narrow(root, region)
    (told,) = stale_runs.rerun_advice(Scene(root), region)
    assert "photogrammetry" in told and "make process PIPELINE=photogrammetry" in told
    numbers = process(root)
    assert not stale_runs.rerun_advice(Scene(root), region)
    points = read_points(root / "dense/photogrammetry/experiments/fused.ply").points
    assert maps(root) == before
    assert np.linalg.norm(points - CENTER, axis=1).max() < 0.5 * 1.25 + 1e-3
    assert numbers["fuse"]["points_outside"] > 1_000
    narrow(root, Region.around(CENTER + 40.0, 0.5))
    with pytest.raises(BadInput, match=r"none of [\d,]+ fused points lies in the region"):
        process(root)


def narrow(root: Path, region: Region) -> None:
    path = root / "transforms.json"
    cameras = transforms.read(path)
    path.unlink()
    transforms.write(path, replace(cameras, region=region), extra={region_file.SOURCE_KEY: "user"})


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"max_normal_error": 1e-4}, "MAX_NORMAL_ERROR=0.0001"),
        ({"max_depth_error": 2e-6}, "MAX_DEPTH_ERROR=2e-06"),
        ({"speckle_size": 10_000}, "SPECKLE_SIZE=10000"),
    ],
)
def test_the_limit_that_no_point_passes_is_named(
    fused: Path, tmp_path: Path, options: dict[str, Any], limit: str
) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    with pytest.raises(BadInput, match="no point survives fusion") as caught:
        process(root, **options)
    assert limit in caught.value.what


def two_photos(root: Path) -> None:
    keep(root, [0, 1])


def same_way(root: Path) -> None:
    """All photos from one place."""
    path = root / "transforms.json"
    cameras = transforms.read(path)
    path.unlink()
    frames = [replace(frame, world_from_cam=cameras.frames[0].world_from_cam)
              for frame in cameras.frames]  # fmt: skip
    transforms.write(path, replace(cameras, frames=tuple(frames)))


def keep(root: Path, numbers: list[int]) -> None:
    path = root / "transforms.json"
    cameras = transforms.read(path)
    path.unlink()
    frames = tuple(cameras.frames[number] for number in numbers)
    transforms.write(path, replace(cameras, frames=frames))
    model = pycolmap.Reconstruction(root / "sparse" / "0")
    for image in list(model.images.values()):
        if image.name not in {Path(frame.file_path).name for frame in frames}:
            model.deregister_frame(image.frame_id)
    for name in ("cameras", "images", "points3D", "rigs", "frames"):
        (root / "sparse" / "0" / f"{name}.bin").unlink()
    model.write(root / "sparse" / "0")


def black_masks(root: Path) -> None:
    (root / "masks").mkdir()
    for picture in (root / "images").iterdir():
        Image.new("L", (96, 72)).save(root / "masks" / picture.name)


def unseeing(root: Path, name: str) -> None:
    """Take from a photo all points that it sees."""
    model = pycolmap.Reconstruction(root / "sparse" / "0")
    (image,) = [image for image in model.images.values() if image.name == name]
    for number, point in enumerate(image.points2D):
        if point.has_point3D():
            model.delete_observation(image.image_id, number)
    (root / "sparse" / "0" / "points3D.bin").unlink()
    (root / "sparse" / "0" / "images.bin").unlink()
    model.write(root / "sparse" / "0")


def test_a_photo_without_a_neighbour_is_skipped_by_its_name(ready: Path, tmp_path: Path) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    unseeing(root, "0003.png")
    log = io.StringIO()
    numbers = process(root, Progress(log=log), dense_size=64)
    assert "1 photo (0003.png) without a neighbour: no depth map" in log.getvalue()
    assert numbers["depthmaps"]["views"] == VIEWS - 1 and numbers["fuse"]["points"] > 500


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (black_masks, "`masks/` excludes every pixel of 12 photos"),
        (two_photos, "2 photos with a pose: a point counts when 2 other photos agree"),
        (same_way, "no two show the same points from directions 3 to 60 degrees apart"),
        (lambda root: (root / "sparse/0/points3D.bin").unlink(), "has no points yet"),
    ],
)
def test_photos_that_show_no_depth_are_refused(
    ready: Path, tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    spoil(root)
    with pytest.raises(Exception, match=sentence):
        process(root)


def test_maps_too_small_to_match_are_refused(ready: Path, tmp_path: Path) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    with pytest.raises(ConfigError, match=r"DENSE_SIZE=5 is too small .* at least 32 pixels"):
        process(root, dense_size=5)


def test_a_full_run_after_a_preview_gives_what_it_gives_alone(
    ready: Path, fused: Path, tmp_path: Path
) -> None:
    root = linked_copy(ready, tmp_path / "scene")
    quick = process(root, preset="preview", dense_size=48, sweeps="2", source_views=0)
    assert quick["neighbours"]["long_side"] == 48 and quick["neighbours"]["views"] == VIEWS
    assert process(root) == process(fused)
    alone, after = (folder / "dense/photogrammetry/experiments" for folder in (fused, root))
    for file in ["fused.ply", "fused.ply.vis", *(f"stereo/{name}" for name in maps(fused))]:
        assert (after / file).read_bytes() == (alone / file).read_bytes(), file


def test_pruned_maps_are_made_again_alike_when_a_stage_has_to_read_them(
    fused: Path, tmp_path: Path
) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    log = io.StringIO()
    known = [("photogrammetry", stage) for stage in STAGES]
    prune(Scene(root, "photogrammetry"), known, Progress(log=log))
    left = {Path(name).parent.name for name in maps(root)}
    assert left == {"filtered"} and "MB dropped" in log.getvalue()
    assert process(root) == process(fused) and not contents(root)
    log = io.StringIO()
    process(root, Progress(log=log), speckle_size=21)
    assert "made again first" in log.getvalue() and "damaged" not in log.getvalue()
    stereo = "dense/photogrammetry/experiments/stereo"
    for name in maps(fused):
        if "filtered" not in name:
            assert (root / stereo / name).read_bytes() == (fused / stereo / name).read_bytes(), name


def test_the_step_prunes_what_no_later_step_reads(fused: Path, tmp_path: Path) -> None:
    root = linked_copy(fused, tmp_path / "scene")
    options = tmp_path / "options.json"
    write_json(options, to_mapping(replace(OPTIONS, prune=True)))
    scene = Scene(root, "photogrammetry")
    run_step("photogrammetry", "process", scene, options, Progress(log=io.StringIO()))
    assert not contents(root)
    assert len([name for name in maps(root) if "geometric" in name]) == 2 * VIEWS
