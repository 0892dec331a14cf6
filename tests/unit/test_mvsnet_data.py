"""Data sets are read as they lie, and what is wrong with one is told by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dtu_folder
from dtu_folder import PLANES, SIZE, write_dtu
from maquette.errors import BadInput, ConfigError, NotFound
from maquette.recon.mvs.neighbours import write_pairs
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.datasets import camera_files, dtu, folders, location, opening
from maquette.recon.mvsnet.datasets.dtu_lists import LISTS
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.loading import Loader
from maquette.recon.mvsnet.samples import SampleSource
from maquette.scene import layout
from maquette.scene.paths import Scene

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dtu(tmp_path / "dtu")


def source(root: Path, part: str = "training", **planes: float) -> SampleSource:
    options = PlaneOptions(**{"n_views": 3, **PLANES, **planes})  # type: ignore[arg-type]
    return opening.open_source(opening.describe(root, opening.index(root), part, options))


def write_scene(root: Path, scan: int = 4, views: int = 3, is_blended: bool = False) -> Path:
    """A scene in MVSNet's folders: depth as large as the pictures."""
    pictures, depths = (
        ("blended_images", "rendered_depth_maps") if is_blended else ("images", "depths")
    )
    (root / pictures).mkdir(parents=True)
    for view in range(views):
        camera = dtu_folder.camera_of(view, SIZE)
        depth, picture = dtu_folder.render(camera, SIZE, scan)
        camera.intrinsics[:2] *= 4.0
        camera_files.write(root / "cams" / f"{view:08d}_cam.txt", camera)
        Image.fromarray((picture * 255).astype(np.uint8)).save(root / pictures / f"{view:08d}.jpg")
        pfm.write(root / depths / f"{view:08d}.pfm", depth.astype(np.float32))
    pairs = [[(one, 1.0) for one in range(views) if one != view] for view in range(views)]
    write_pairs(root / ("cams/pair.txt" if is_blended else "pair.txt"), pairs)
    return root


@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3)])
def test_a_pfm_comes_back_as_it_was(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    pfm.write(tmp_path / "a.pfm", values)
    assert np.array_equal(pfm.read(tmp_path / "a.pfm"), values)


def test_a_pfm_of_the_other_byte_order_is_read_bottom_up(tmp_path: Path) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]], ">f4")
    (tmp_path / "a.pfm").write_bytes(b"Pf\n2 2\n1.0\n" + rows.tobytes())
    assert pfm.read(tmp_path / "a.pfm").tolist() == [[3.0, 4.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"P6\n2 2\n255\n", "no PFM file"), (b"Pf\n2 2\n-1.0\n1234", "cut off: 4 bytes of 16")],
)
def test_a_broken_pfm_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(BadInput, match=told):
        pfm.read(tmp_path / "a.pfm")
    with pytest.raises(NotFound):
        pfm.read(tmp_path / "b.pfm")


def test_a_camera_comes_back_as_it_was(tmp_path: Path) -> None:
    camera = dtu_folder.camera_of(2, SIZE)
    camera_files.write(tmp_path / "cam.txt", camera)
    found = camera_files.read(tmp_path / "cam.txt")
    assert np.array_equal(found.cam_from_world, camera.cam_from_world)
    assert np.array_equal(found.intrinsics, camera.intrinsics)
    assert (found.depth_min, found.interval, found.depth_max) == (425.0, 2.5, 0.0)
    (tmp_path / "cam.txt").write_text("extrinsic 1 2 3")
    with pytest.raises(BadInput, match="no camera in MVSNet's form"):
        camera_files.read(tmp_path / "cam.txt")


def test_the_lists_of_dtu_are_79_18_and_22_scans() -> None:
    assert [len(LISTS[part]) for part in ("training", "validation", "test")] == [79, 18, 22]
    assert len({number for numbers in LISTS.values() for number in numbers}) == 119


def test_a_sample_of_dtu_has_pictures_depth_and_cameras_that_agree(data: Path) -> None:
    found = source(data)
    assert len(found) == 3
    sample = found[1, 0]
    assert sample.images.shape == (3, 3, SIZE[1], SIZE[0]) and sample.depth.shape == (12, 16)
    assert sample.name == "scan2 view 1 light 0" and sample.millimetre == 1.0
    assert sample.near == 425.0 and sample.far == pytest.approx(425 + 2.5 * 6.4 * 31)
    assert not sample.mask[0].any() and sample.mask[1:].all()
    depth, _ = dtu_folder.render(dtu_folder.camera_of(1, SIZE), SIZE, 2)
    assert sample.depth.numpy() == pytest.approx(depth[::4, ::4], rel=1e-6)
    projection = dtu_folder.camera_of(1, SIZE).projection(4.0)
    assert torch.equal(sample.projections[0], torch.from_numpy(projection))


def test_what_is_left_out_of_dtu_is_told(data: Path) -> None:
    found = opening.index(data)
    told = opening.remarks(found)
    assert told[0].startswith("training: 1 of 79 scans; not there: scan6,")
    assert opening.counts(found) == {"training": 3, "validation": 3, "test": 0}


def remove(name: str) -> object:
    def broken(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return broken


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (remove("Cameras/pair.txt"), "not DTU's training data, `Cameras/pair.txt` is missing"),
        (remove("Depths"), "`Depths` is missing"),
        (remove("Cameras/train/00000001_cam.txt"), "no camera .*00000001_cam.txt"),
        (remove(dtu.picture_file("scan3", 1, 0)), "1 file of scan3 missing.*rect_002_0_r5000.png"),
        (remove(dtu.depth_file("scan2", 2)), "1 file of scan2 missing.*depth_map_0002.pfm"),
        (remove(dtu.mask_file("scan2", 0)), "depth_visual_0000.png"),
        (remove("Depths/scan3_train"), "6 files of scan3 missing"),
        (remove("Rectified/scan2_train"), "none of the 79 scans that train"),
    ],
)
def test_a_partial_download_is_told_by_name(data: Path, mistake: object, told: str) -> None:
    mistake(data)  # type: ignore[operator]
    with pytest.raises((BadInput, NotFound), match=told) as caught:
        opening.index(data)
    assert caught.value.hint


def test_depth_in_metres_is_told(data: Path) -> None:
    for path in data.glob("Depths/scan2_train/*.pfm"):
        pfm.write(path, pfm.read(path) / 1000)
    with pytest.raises(BadInput, match="another unit than its camera"):
        opening.index(data)


def test_depth_of_another_size_is_told(data: Path) -> None:
    pfm.write(data / dtu.depth_file("scan2", 0), np.ones((48, 64), np.float32) * 600)
    with pytest.raises(BadInput, match="depth of 64×48 for pictures of 64×48"):
        opening.index(data)


def test_planes_that_end_too_early_are_told_with_what_would_do(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"2.5 × N_DEPTHS × INTERVAL_SCALE is 64") as caught:
        source(data, n_depths=32, interval_scale=0.8)
    assert caught.value.hint == "e.g. N_DEPTHS=32 INTERVAL_SCALE=6.38"
    for depths, scale in [(256, 0.8), (192, 1.06), (128, 1.6)]:
        source(data, n_depths=depths, interval_scale=scale)


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(BadInput, match="no data set that is known"):
        opening.index(tmp_path)


def test_a_scene_without_depth_maps_says_what_makes_them(tmp_path: Path) -> None:
    layout.mark(Scene(tmp_path / "shoe"))
    with pytest.raises(BadInput, match="no filtered depth maps") as caught:
        opening.index(tmp_path / "shoe")
    assert "PIPELINE=photogrammetry MODEL=shoe" in caught.value.hint


@pytest.mark.parametrize("is_blended", [False, True])
def test_a_scene_in_mvsnets_folders_is_read(tmp_path: Path, is_blended: bool) -> None:
    root = write_scene(tmp_path / "scene", is_blended=is_blended)
    found = source(root)
    assert len(found) == 2 and len(source(root, "validation")) == 1
    sample = found[0, 0]
    assert sample.images.shape == (3, 3, 48, 64) and sample.depth.shape == (48, 64)
    assert sample.millimetre == pytest.approx(1.0) and sample.mask.all()


def test_many_scenes_are_divided_by_lists_or_by_number(tmp_path: Path) -> None:
    for number in range(3):
        write_scene(tmp_path / f"scene{number}", is_blended=True)
    assert opening.counts(opening.index(tmp_path)) == {"training": 6, "validation": 3}
    (tmp_path / "training_list.txt").write_text("scene2\n")
    (tmp_path / "validation_list.txt").write_text("scene0\nscene1\n")
    assert opening.counts(opening.index(tmp_path)) == {"training": 3, "validation": 6}


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (remove("pair.txt"), "`cams/pair.txt` is missing"),
        (remove("cams/00000001_cam.txt"), "no camera"),
        (remove("images/00000002.jpg"), "`blended_images/00000002.jpg` is missing"),
        (remove("depths"), "no depth map"),
        (lambda root: write_pairs(root / "pair.txt", [[]]), "1 view in pair.txt"),
        (
            lambda root: Image.new("RGB", (32, 24)).save(root / "images/00000001.jpg"),
            "pictures of different sizes: 32×24, 64×48",
        ),
        (
            lambda root: pfm.write(root / "depths/00000000.pfm", np.ones((10, 10), np.float32)),
            "depth of 10×10 for pictures of 64×48",
        ),
    ],
)
def test_a_broken_scene_is_told_by_name(tmp_path: Path, mistake: object, told: str) -> None:
    root = write_scene(tmp_path / "scene")
    mistake(root)  # type: ignore[operator]
    with pytest.raises((BadInput, NotFound), match=told):
        folders.index(root)


def test_every_sample_has_its_turn_in_an_epoch_and_the_order_follows_from_the_seed(
    data: Path,
) -> None:
    first, again, other = (Loader(source(data), 1, seed) for seed in (3, 3, 4))
    names = [[loader.batch(i, CPU).names[0] for i in range(6)] for loader in (first, again, other)]
    assert sorted(names[0][:3]) == sorted(names[0][3:]) and len(set(names[0][:3])) == 3
    assert names[0] == names[1] != names[2]
    assert first.batch(4, CPU).names[0] == names[0][4]  # a resumed run begins anywhere


def test_processes_share_a_batch(data: Path) -> None:
    whole = Loader(source(data), 2, 0).batch(0, CPU).names
    parts = [Loader(source(data), 1, 0, rank, 2).batch(0, CPU).names[0] for rank in (0, 1)]
    assert list(whole) == parts


def test_a_data_set_is_not_copied_and_may_move(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene")
    scene.root.mkdir()
    write_dtu(tmp_path / "data")
    location.note(scene, str(tmp_path / "data"))
    listing = location.listing_file(scene).read_text()
    assert location.write_index(scene) == location.read_index(scene)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="is not there"):
        location.root_of(scene)
    location.note(scene, str(tmp_path / "elsewhere"))
    assert location.listing_file(scene).read_text() == listing
    assert location.root_of(scene) == tmp_path / "elsewhere"
