"""The stages of dense stereo with a network in PatchMatch's place, in a small scene."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dense_workspace import exact_map
from maquette.errors import BadInput, NotFound
from maquette.pipelines.mvsnet.options import ProcessOptions
from maquette.recon.geometry.points import read_points
from maquette.recon.mvs.colmap_files import read_confidence, read_depths
from maquette.recon.mvs.neighbours import read_pairs
from maquette.recon.mvsnet import networks, pfm, weights
from maquette.recon.mvsnet.datasets import camera_files
from maquette.recon.mvsnet.inference import projection
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.stages.dense import consistency, depthmaps, fuse, mvsnet_folder, neighbours
from maquette.scene import transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.stage import Stage
from synthetic_scene import scene_distance, write_landmarks, write_posed_scene
from turns import linked_copy, made_once

VIEWS, FEWER = 12, 6
OPTIONS = ProcessOptions(source_views=4, n_images_per_group=3, speckle_size=20)
FEW = NetworkOptions(hypotheses=(4, 4, 4))
MAPS = [neighbours.STAGE, depthmaps.STAGE]


def make_ready(root: Path) -> None:
    write_landmarks(write_posed_scene(root, VIEWS, 96, 72), 400)


def make_small(root: Path) -> None:
    write_landmarks(write_posed_scene(root, FEWER, 56, 48), 400)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return linked_copy(made_once("network ready", make_ready), tmp_path / "thing")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return linked_copy(made_once("network small", make_small), tmp_path / "small")


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    """Weights of a small network that learnt nothing."""

    def make(folder: Path) -> None:
        torch.manual_seed(0)
        weights.save(folder / "few.pt", networks.build("cascade", FEW), "cascade", FEW)

    return made_once("few weights", make) / "few.pt"


def process(root: Path, stages: Sequence[Stage], **options: Any) -> dict[str, dict[str, Any]]:
    """Run stages; the numbers of each that ran or stood."""
    log = io.StringIO()
    records = run_stages(
        list(stages), "process", Scene(root, "mvsnet"), replace(OPTIONS, **options),
        Progress(log=log),
    )  # fmt: skip
    return {record.stage: record.numbers for record in records}


def test_depth_maps_go_where_patch_match_leaves_them(small: Path, checkpoint: Path) -> None:
    numbers = process(small, MAPS, checkpoint=str(checkpoint))
    assert numbers["depthmaps"]["views"] == FEWER
    scene = Scene(small, "mvsnet")
    stereo = scene.dense("experiments") / "stereo"
    names = [Path(f.file_path).name for f in transforms.read(scene.transforms).frames]
    for name in names:
        sure = read_confidence(stereo, name)
        depth = read_depths(stereo, name, "photometric")
        assert sure.shape == depth.shape == (48, 56)
        assert ((depth > 0) <= (sure >= 0.1 - 1e-6)).all()


def test_the_same_weights_make_no_map_again_and_others_do(
    small: Path, checkpoint: Path, tmp_path: Path
) -> None:
    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in small.rglob("*photometric.bin")}

    process(small, MAPS, checkpoint=str(checkpoint))
    before = written()
    moved = tmp_path / "renamed.pt"
    moved.write_bytes(checkpoint.read_bytes())
    process(small, MAPS, checkpoint=str(moved))
    assert written() == before
    torch.manual_seed(1)
    weights.save(moved, networks.build("cascade", FEW), "cascade", FEW)
    process(small, MAPS, checkpoint=str(moved))
    assert not set(written().items()) & set(before.items())


def test_weights_of_something_else_stop_before_any_map(small: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no weights `.*gone.pt`"):
        process(small, MAPS, checkpoint=str(tmp_path / "gone.pt"))
    torch.save({"format": "splat 1"}, tmp_path / "splat.pt")
    with pytest.raises(BadInput, match="its format is splat 1"):
        process(small, MAPS, checkpoint=str(tmp_path / "splat.pt"))
    assert not list(small.rglob("*photometric.bin"))


def test_without_weights_it_is_said_what_to_do(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "SHIPPED", small / "none.pt")
    with pytest.raises(NotFound, match="come with this package are not there") as caught:
        process(small, MAPS)
    assert "CHECKPOINT=" in caught.value.hint and "DEPTH=patchmatch" in caught.value.hint


def test_true_depths_become_points_on_the_surface_and_a_folder_of_mvsnet(
    root: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    """A network that knows the scene: what is between it and the points changes nothing."""
    oracle = Oracle(root)
    monkeypatch.setattr(weights, "load", lambda path: oracle)
    stages = [*MAPS, consistency.STAGE, fuse.STAGE, mvsnet_folder.STAGE]
    process(root, stages, checkpoint=str(checkpoint), geometric_sweeps=0, mvsnet_folder=True)
    scene = Scene(root, "mvsnet")
    points = read_points(scene.dense("experiments") / "fused.ply").points
    assert len(points) > 2000
    assert np.abs(scene_distance(points.astype(np.float64))).max() < 0.01
    check_folder(scene)
    process(root, stages, checkpoint=str(checkpoint), geometric_sweeps=0)
    assert not (scene.results / "mvsnet").exists()


def check_folder(scene: Scene) -> None:
    folder, stereo = scene.results / "mvsnet", scene.dense("experiments") / "stereo"
    names = (folder / "names.txt").read_text().split()
    frames = sorted(transforms.read(scene.transforms).frames, key=lambda f: f.file_path)
    assert len(read_pairs(folder / "pair.txt")) == len(names) == VIEWS
    for number, (name, frame) in enumerate(zip(names, frames, strict=True)):
        depth = pfm.read(folder / "depths_mvsnet" / f"{number:08d}.pfm")
        assert np.array_equal(depth, read_depths(stereo, name, "photometric"))
        sure = pfm.read(folder / "depths_mvsnet" / f"{number:08d}_prob.pfm")
        assert (sure[depth > 0] == 1).all()
        camera = camera_files.read(folder / "cams" / f"{number:08d}_cam.txt")
        assert np.allclose(camera.cam_from_world @ frame.world_from_cam, np.eye(4), atol=1e-7)
        known = depth[depth > 0]
        assert camera.depth_min < np.median(known) < camera.depth_max
        assert (folder / "images" / f"{number:08d}.jpg").is_file()


class Oracle(nn.Module):
    """A network whose depths are exact, of the reference whose projection it is given."""

    strides = (1,)

    def __init__(self, root: Path) -> None:
        super().__init__()
        frames = transforms.read(Scene(root, "mvsnet").transforms).frames
        self._known = [(projection(frame), exact_map(frame).depth) for frame in frames]

    def extract(self, images: Tensor) -> list[Tensor]:
        return [images]

    def sweep(
        self, features: list[list[Tensor]], projections: Tensor, depth_range: Tensor
    ) -> Prediction:
        given = projections[0, 0].double().numpy()
        (depth,) = [depth for known, depth in self._known if np.allclose(known, given, rtol=1e-4)]
        depths = torch.from_numpy(np.maximum(depth, 1e-3))[None]
        return Prediction(depths, torch.from_numpy(depth > 0)[None].float(), (depths,), 1.0, True)
