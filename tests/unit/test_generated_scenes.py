"""Scenes that are made up from a seed: exact depths, consistent cameras, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from cuda_device import DEVICES
from maquette.recon.kernel_checks import compare
from maquette.recon.mvs.neighbours import read_pairs
from maquette.recon.mvsnet import pfm, warping
from maquette.recon.mvsnet.datasets import opening
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.generated import __main__ as program
from maquette.recon.mvsnet.generated import checks
from maquette.recon.mvsnet.generated.cameras import poses_around
from maquette.recon.mvsnet.generated.degradation import through_jpeg
from maquette.recon.mvsnet.generated.layout import Layout
from maquette.recon.mvsnet.generated.pairs import choose_pairs
from maquette.recon.mvsnet.generated.scenes import GeneratedScene, generate, render
from maquette.recon.mvsnet.generated.shapes import Shape, box, displaced, panel, superquadric
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.planes import sweep_matrices

SIZE = (64, 48)


@pytest.fixture(scope="module")
def scene() -> GeneratedScene:
    return generate(3, SIZE, views=4)


def test_a_seed_gives_the_same_scene_on_any_number_of_threads(scene: GeneratedScene) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again = generate(3, SIZE, views=4)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(scene.images, again.images) and torch.equal(scene.depths, again.depths)
    assert np.array_equal(scene.ranges, again.ranges)
    other = generate(4, SIZE, views=4)
    assert not torch.equal(scene.depths, other.depths)


def test_a_box_is_seen_at_the_depth_where_its_side_lies() -> None:
    """Its front is the plane z = 2 of the camera, its turned neighbour another plane."""
    found = render(boxed(), 0, SIZE)
    depth = found.depths[0].numpy()
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    rays = np.stack([(x - 32) / 64, (y - 24) / 64, np.ones_like(x)], -1)
    front = np.abs(2 * rays[..., :2]).max(-1) < 0.49  # of half a unit: its rim is left out
    assert np.abs(depth[front] - 2).max() < 1e-5
    outside = np.abs(2 * rays[..., :2]).max(-1) > 0.51
    assert not depth[outside].any()
    turned = found.depths[1].numpy()
    pose = found.frames[1].world_from_cam
    met = turned > 0
    points = (rays * turned[..., None])[met] @ pose[:3, :3].T + pose[:3, 3]
    off = np.abs(np.abs(points - [0, 0, 2.5]).max(-1) - 0.5)
    assert met.sum() > 200 and off.max() < 1e-5


@pytest.mark.parametrize("device", DEVICES)
def test_depths_are_those_of_embree(device: str) -> None:
    where = torch.device(device)
    for case in checks.cases(where, quick=True):
        assert compare(case, where, runs=1).agrees


def test_a_picture_moved_by_its_depth_is_the_other_picture(scene: GeneratedScene) -> None:
    """Where both see a place; exposure and noise differ a little."""
    matrices = sweep_matrices(scene.projections()[None], 1)
    reference = scene.images[0]
    for view in range(1, 4):
        moved = warping.warp(
            scene.images[view][None], matrices[view - 1],
            scene.depths[0].clamp(min=1e-3)[None, None], (SIZE[1], SIZE[0]),
        )[0, :, 0]  # fmt: skip
        both = is_seen(scene, view)
        assert both.float().mean() > 0.1
        right = correlation(moved[:, both], reference[:, both])
        wrong = correlation(moved[:, both], reference.flip(-1)[:, both])
        assert right > 0.9 and right > wrong + 0.1


def test_ranges_hold_nearly_all_depths_and_are_wider(scene: GeneratedScene) -> None:
    for depth, (low, high) in zip(scene.depths.numpy(), scene.ranges, strict=True):
        known = depth[depth > 0]
        inside = (known > low) & (known < high)
        assert inside.mean() > 0.99 and 1.5 < high / low < 60


def test_cameras_look_at_the_point_from_5_to_40_degrees() -> None:
    poses = poses_around(3.0, 8, np.random.default_rng(5))
    target = np.array([0.0, 0.0, 3.0])
    ways = poses[:, :3, 3] - target
    cosines = ways @ ways[0] / np.linalg.norm(ways, axis=1) / 3
    angles = np.degrees(np.arccos(cosines.clip(-1, 1)))
    assert angles[0] == 0 and angles[1:].min() >= 5 and angles[1:].max() <= 40
    turns = poses[:, :3, :3]
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(turns), 1)
    aims = np.einsum("nij,ni->nj", turns, target - poses[:, :3, 3])
    assert (aims[:, 2] > 0.9 * np.linalg.norm(aims, axis=1)).all()


@pytest.mark.parametrize(
    "shape", [superquadric((0.3, 1.7), np.array([1.0, 0.7, 0.4])), box(np.array([1.0, 0.5, 0.2]))]
)
def test_closed_shapes_are_counter_clockwise_seen_from_outside(shape: Shape) -> None:
    a, b, c = (shape.vertices[shape.faces[:, corner]] for corner in range(3))
    volume = (a * np.cross(b, c)).sum() / 6
    assert volume > 0.3 * np.prod(np.ptp(shape.vertices, axis=0))
    assert ((shape.vertices * shape.normals).sum(1) > -1e-9).mean() > 0.95


def test_relief_has_the_deviation_that_was_asked_for() -> None:
    relief = displaced(panel(1, 1), 0.05, 0.5, np.random.default_rng(1))
    assert 0.03 < relief.vertices[:, 2].std() < 0.07
    assert np.allclose(np.linalg.norm(relief.normals, axis=1), 1)


def test_jpeg_loses_little_at_high_quality_and_more_at_low() -> None:
    picture = torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    smooth = functional.avg_pool2d(picture, 5, 1, 2)
    fine, coarse = (float((through_jpeg(smooth, q) - smooth).abs().mean()) for q in (98, 20))
    assert fine < 0.01 < coarse < 0.08
    assert torch.allclose(through_jpeg(torch.full((1, 3, 16, 16), 0.5), 90), torch.tensor(0.5),
                          atol=0.01)  # fmt: skip


def test_a_sample_is_that_of_its_index_and_seed() -> None:
    source = GeneratedScenes(SIZE, views=2, count=5)
    one, again, other = source[1, 0], source[1, 0], source[1, 1]
    assert len(source) == 5 and one.images.shape == (2, 3, 48, 64)
    assert torch.equal(one.images, again.images) and not torch.equal(one.images, other.images)
    known = one.depth[one.mask]
    assert known.min() >= one.near and known.max() <= one.far


def test_the_best_pair_is_the_one_with_the_most_useful_angle(scene: GeneratedScene) -> None:
    pairs = choose_pairs(scene)
    assert [len(others) for others in pairs] == [3] * 4
    for view, others in enumerate(pairs):
        scores = [score for _, score in others]
        assert scores == sorted(scores, reverse=True) and view not in [n for n, _ in others]


def test_scenes_are_written_once_in_the_form_of_blended_mvs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path), "--count", "1", "--views", "3", "--size", "64", "48"]
    assert program.main([*words, "--gpus", "0"]) == 0
    (folder,) = tmp_path.glob("s0_*")
    depth = pfm.read(folder / "rendered_depth_maps" / "00000002.pfm")
    assert depth.shape == (48, 64) and depth.max() > 0
    assert len(read_pairs(folder / "cams" / "pair.txt")) == 3
    assert sorted(path.name for path in (folder / "cams").glob("*_cam.txt"))[2] == (
        "00000002_cam.txt"
    )
    found = opening.index(tmp_path)
    planes = PlaneOptions(2, 256, 0.8)
    source = opening.open_source(opening.describe(tmp_path, found, "training", planes))
    sample = source[0, 0]
    assert sample.images.shape == (2, 3, 48, 64) and len(source) >= 1
    near = pfm.read(folder / "rendered_depth_maps" / f"{int(sample.name[-1]):08d}.pfm")
    assert torch.equal(sample.depth[sample.mask], torch.from_numpy(near)[sample.mask])
    before = (folder / "blended_images" / "00000000.jpg").stat().st_mtime_ns
    assert program.main([*words, "--gpus", "0"]) == 0
    assert (folder / "blended_images" / "00000000.jpg").stat().st_mtime_ns == before
    assert '"written": 0' in capsys.readouterr().out.splitlines()[-1]


def boxed() -> Layout:
    """A cube with its front at z = 2, seen from the front and from the side."""
    shape = box(np.full(3, 0.5))
    poses = np.stack([np.eye(4)] * 2)
    cosine, sine = np.cos(0.6), np.sin(0.6)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    poses[1, :3, :3] = turn
    poses[1, :3, 3] = np.array([0, 0, 2.5]) - turn @ [0, 0, 2.5]
    return Layout(
        (shape.vertices + np.array([0, 0, 2.5])).astype(np.float32),
        shape.normals.astype(np.float32),
        shape.vertices.astype(np.float32), shape.faces, np.zeros(12, np.int32),
        np.full((1, 12), 0.5, np.float32), poses, 1.0, np.zeros(3), 0.5, np.zeros(3),
    )  # fmt: skip


def is_seen(scene: GeneratedScene, view: int) -> torch.Tensor:
    """Which pixels of the first view another one sees too, by both depths."""
    both = torch.eye(4).expand(2, 4, 4).clone()
    both[:] = scene.projections()[[0, view]]
    (matrix,) = sweep_matrices(both[None], 1)
    y, x = torch.meshgrid(torch.arange(SIZE[1]), torch.arange(SIZE[0]), indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).float().reshape(3, -1)
    there = matrix[0, :, :3] @ pixels * scene.depths[0].reshape(1, -1) + matrix[0, :, 3:]
    z = there[2].clamp(min=1e-6)
    column, row = (there[0] / z).round().long(), (there[1] / z).round().long()
    inside = (column >= 0) & (row >= 0) & (column < SIZE[0]) & (row < SIZE[1]) & (there[2] > 0)
    depth = scene.depths[view][row.clamp(0, SIZE[1] - 1), column.clamp(0, SIZE[0] - 1)]
    return (inside & ((depth - z).abs() < 0.01 * z)).reshape(SIZE[1], SIZE[0])


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.reshape(-1), other.reshape(-1)]))[0, 1])
