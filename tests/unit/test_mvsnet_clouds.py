"""Depth maps of a scan as a cloud, and how far it is from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement
from scipy.io import savemat

from dtu_folder import PLANES, SIZE, camera_of, render, write_dtu
from maquette.errors import BadInput
from maquette.recon.mvsnet.cloud_errors import Truth, measure, thinned
from maquette.recon.mvsnet.clouds import Cloud, Scans, frame_of
from maquette.recon.mvsnet.datasets.dtu import Dtu, index
from maquette.recon.mvsnet.datasets.dtu_scans import read_truth
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch

CPU = torch.device("cpu")
FINE = (192, 144)


def everywhere(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.ones(len(points), bool)


def wall(z: float, width: float = 20.0) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.arange(0, width, 0.5), np.arange(0, 20, 0.5))
    return np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3)


def test_a_wall_that_lies_3_mm_off_is_3_mm_wrong_both_ways() -> None:
    found = measure(wall(3), Truth(wall(0), everywhere))
    assert found == pytest.approx({"accuracy": 3, "completeness": 3, "overall": 3})
    halved = measure(wall(3), Truth(wall(0), everywhere, unit=0.5))
    assert halved["overall"] == pytest.approx(6)


def test_what_is_missing_is_the_completeness_alone() -> None:
    found = measure(wall(0, 10), Truth(wall(0), everywhere))
    assert found["accuracy"] == 0 and 2 < found["completeness"] < 3


def test_outliers_and_what_the_truth_can_not_tell_of_do_not_count() -> None:
    truth = Truth(wall(0), lambda points: points[:, 1] < 10)
    points = np.concatenate([wall(0), wall(25), wall(4)[800:]])  # the last ones are not observed
    assert measure(points, truth)["accuracy"] == pytest.approx(0)
    assert math.isnan(measure(wall(25), truth)["overall"])
    assert math.isnan(measure(np.zeros((0, 3)), truth)["accuracy"])


def test_a_thinned_cloud_has_a_point_in_each_cell_that_had_one() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (2000, 3))
    kept = thinned(points, 0.25)
    assert len(kept) == 64
    assert np.array_equal(kept, thinned(kept, 0.25))


def test_the_camera_of_a_map_sees_entry_i_where_the_picture_has_pixel_4_i() -> None:
    camera = camera_of(2, SIZE)
    frame = frame_of(camera.projection(4.0).astype(np.float64), (12, 16), 4)
    assert frame.world_from_cam == pytest.approx(np.linalg.inv(camera.cam_from_world), abs=1e-3)
    point = np.linalg.inv(camera.cam_from_world) @ [30.0, -20.0, 600.0, 1.0]
    here = np.linalg.inv(frame.world_from_cam) @ point
    there = camera.projection(4.0) @ point
    on_map = (frame.intrinsics.matrix() @ here[:3] / here[2])[:2] - 0.5
    assert 4 * on_map + 0.5 == pytest.approx(there[:2] / there[2], abs=1e-3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dtu(tmp_path_factory.mktemp("dtu"), scans=(1, 2, 4), views=4, lights=2, size=FINE)


def test_true_depth_maps_fuse_to_the_truth_and_wrong_ones_beside_it(data: Path) -> None:
    right, wrong = (
        [measure(cloud.points.points, cloud.truth) for cloud in clouds_of(data, factor)]
        for factor in (1.0, 1.01)
    )
    assert len(right) == len(wrong) == 2  # of two scans by one of their lights
    for one, other in zip(right, wrong, strict=True):
        assert one["accuracy"] < 2 and one["completeness"] < 6
        assert 5 < other["accuracy"] < 9 and 7 < other["completeness"] < 11


def clouds_of(root: Path, factor: float) -> Iterator[Cloud]:
    """The clouds of test scans 1 and 4, from `factor` × the true depths."""
    scans = Scans()
    source = Dtu(root, index(root), "test", PlaneOptions(**PLANES))
    for number in range(len(source)):
        sample = source[number, 0]
        scan, view = sample.name.split()[0], int(sample.name.split()[2])
        depth = render(camera_of(view, FINE), FINE, int(scan.removeprefix("scan")))[0][::4, ::4]
        made = torch.from_numpy(depth * factor).float()[None]
        prediction = Prediction(made, torch.ones_like(made), (made,), 0.25)
        yield from scans.add(sample.scan, Batch.stacked([sample], CPU), prediction)
    yield from scans.last()


def test_the_scanners_points_are_the_truth_where_they_lie_beside_the_data(tmp_path: Path) -> None:
    assert read_truth(tmp_path, "scan9") is None
    rows = np.array([(0, 0, z) for z in (-1, 1, 2)], [(axis, "f4") for axis in "xyz"])
    file = tmp_path / "Points/stl/stl009_total.ply"
    file.parent.mkdir(parents=True)
    PlyData([PlyElement.describe(rows, "vertex")]).write(file)
    with pytest.raises(BadInput, match=r"ObsMask9_10\.mat"):
        read_truth(tmp_path, "scan9")
    (tmp_path / "ObsMask").mkdir()
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[1, 2, 3] = 1
    box, plane = np.array([[-5.0, -5, -5], [5, 5, 5]]), np.array([[0.0], [0], [1], [0]])
    savemat(tmp_path / "ObsMask/ObsMask9_10.mat", {"ObsMask": mask, "BB": box, "Res": 2.5})
    savemat(tmp_path / "ObsMask/Plane9.mat", {"P": plane})
    truth = read_truth(tmp_path, "scan9")
    assert truth is not None and truth.points[:, 2].tolist() == [1, 2]
    places = np.array([[-2.5, 0, 2.5], [0, 0, 2.5], [99, 0, 0], [-2.0, 0.8, 1.8]])
    assert truth.is_observed(places).tolist() == [True, False, False, True]
