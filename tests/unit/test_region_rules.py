"""The region follows the scene: turned, moved and scaled with it; rules against slow twins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from maquette.errors import BadInput
from maquette.recon.pictures import points as points_picture
from maquette.recon.pictures.points import Subject
from maquette.scene import region_file, region_rules, transforms
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics, Transforms

Floats = NDArray[np.float64]
seeds = st.integers(0, 10_000)
few = settings(deadline=None, max_examples=30)


def orbit(seed: int, count: int = 24) -> tuple[Floats, Floats]:
    """Cameras around a random point, looking at it with a small error; c and d."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=3) * 5
    away = rng.normal(size=(count, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    centers = target + away * rng.uniform(2, 3, (count, 1))
    axes = target - centers + rng.normal(size=(count, 3)) * 0.02
    return centers, axes / np.linalg.norm(axes, axis=1, keepdims=True)


def cloud(seed: int, count: int = 200) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)) * rng.uniform(0.5, 3, 3) + rng.normal(size=3) * 4


def similarity(seed: int) -> tuple[float, Floats, Floats]:
    rng = np.random.default_rng(seed)
    return (
        float(rng.uniform(0.05, 20)),
        Rotation.random(rng=rng).as_matrix(),
        rng.normal(size=3) * 9,
    )


@few
@given(seeds, st.sampled_from(["object", "indoor", "outdoor"]))
def test_the_sphere_turns_moves_and_scales_with_the_scene(seed: int, scene_type: str) -> None:
    centers, axes = orbit(seed)
    points = cloud(seed)
    scale, turn, shift = similarity(seed)
    before = region_rules.estimate(scene_type, centers, axes, points)
    after = region_rules.estimate(
        scene_type, scale * centers @ turn.T + shift, axes @ turn.T, scale * points @ turn.T + shift
    )
    expected = scale * turn @ np.asarray(before.region.center) + shift
    assert after.rule == before.rule
    assert after.region.radius == pytest.approx(scale * before.region.radius, rel=1e-6)
    assert after.region.center == pytest.approx(expected, abs=1e-6 * after.region.radius)


@few
@given(seeds)
def test_the_box_moves_scales_and_swaps_axes_with_the_scene(seed: int) -> None:
    points, (scale, _, shift) = cloud(seed), similarity(seed)
    before = np.asarray(region_rules.by_points(points).box)
    after = np.asarray(region_rules.by_points(scale * points[:, [2, 0, 1]] + shift).box)
    assert after == pytest.approx(scale * before[[2, 0, 1]] + shift[:, None], rel=1e-6)


def slow_meeting_point(centers: Floats, axes: Floats) -> Floats:
    """Nearest points of each two axes by least squares, weighted by sin²."""
    total, weights = np.zeros(3), 0.0
    for i in range(len(centers)):
        for j in range(i):
            system = np.stack([axes[i], -axes[j]], axis=1)
            (s, t), *_ = np.linalg.lstsq(system, centers[j] - centers[i], rcond=None)
            weight = np.linalg.norm(np.cross(axes[i], axes[j])) ** 2
            total += weight * (centers[i] + s * axes[i] + centers[j] + t * axes[j]) / 2
            weights += weight
    return np.asarray(total / weights)


@few
@given(seeds)
def test_meeting_point_against_its_slow_twin(seed: int) -> None:
    centers, axes = orbit(seed, 7)
    assert region_rules.meeting_point(centers, axes) == pytest.approx(
        slow_meeting_point(centers, axes), abs=1e-6
    )


def test_axes_through_one_point_meet_there_and_the_radius_counts_from_it() -> None:
    target = np.array([100.0, -50.0, 7.0])  # far from the world's origin
    away = np.random.default_rng(0).normal(size=(12, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    found = region_rules.estimate("object", target + 3 * away, -away, cloud(0) + target)
    assert found.region.center == pytest.approx(target, abs=1e-9)
    assert found.region.radius == pytest.approx(3.0)
    assert np.asarray(found.region.box) == pytest.approx(
        np.stack([target - 3, target + 3], axis=1), abs=1e-9
    )


def test_cameras_on_parallel_axes_fall_back_to_points() -> None:
    centers = np.stack([np.arange(6.0), np.zeros(6), np.zeros(6)], axis=1)
    axes = np.tile([0.0, 0.0, 1.0], (6, 1))
    found = region_rules.estimate("object", centers, axes, cloud(1))
    assert found.rule == "points"
    assert found.remark


def test_cameras_looking_outwards_fall_back_to_points() -> None:
    centers, axes = orbit(3)
    found = region_rules.estimate("object", centers, -axes, cloud(1))
    assert (found.rule, bool(found.remark)) == ("points", True)


def test_outdoor_asks_whether_the_cameras_circle_something() -> None:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(16)], axis=1)
    assert region_rules.estimate("outdoor", ring, -ring, cloud(0)).rule == "poses"
    assert region_rules.estimate("outdoor", ring, ring, cloud(0)).rule == "points"
    down = np.tile([0.0, 0.0, -1.0], (16, 1))
    assert region_rules.estimate("outdoor", ring, down, cloud(0)).rule == "points"
    assert region_rules.estimate("indoor", ring, -ring, cloud(0)).rule == "points"


@pytest.mark.parametrize(("inward", "expected"), [(8, False), (9, True)])
def test_more_than_half_of_the_cameras_must_look_inwards(inward: int, expected: bool) -> None:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(16)], axis=1)
    axes = np.where(np.arange(16)[:, None] < inward, -ring, ring)
    assert region_rules.circles_its_centroid(ring, axes) is expected


def test_by_points_has_the_documented_size_and_ignores_wild_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20_000, 3)) * [1.0, 2.0, 3.0]
    region = region_rules.by_points(points)
    wild = np.concatenate([points, rng.normal(size=(20, 3)) * 1e4])
    assert 5.0 < region.radius < 6.1  # 2 · 3, a little less for the points left out
    assert region.radius == pytest.approx(region_rules.by_points(wild).radius, rel=0.02)
    assert np.ptp(np.asarray(region.box), axis=1) == pytest.approx([6, 12, 18], rel=0.15)


def test_a_flat_scene_still_has_a_box() -> None:
    points = cloud(0) * [1, 1, 0]
    assert region_rules.by_points(points).box[2][0] < region_rules.by_points(points).box[2][1]


def test_a_model_without_points_is_refused() -> None:
    with pytest.raises(BadInput, match="only 3 points"):
        region_rules.estimate("object", *orbit(0), cloud(0, 3))


def test_turning_on_the_spot_is_refused() -> None:
    _, axes = orbit(0)
    with pytest.raises(BadInput, match="same place"):
        region_rules.estimate("object", np.ones((24, 3)), axes, cloud(0))


def frames(seed: int, nudge: float = 0.0) -> tuple[Frame, ...]:
    camera = Intrinsics(64, 48, 50.0, 50.0, 32.0, 24.0)
    made = []
    for index, (center, rotation) in enumerate(
        zip(orbit(seed)[0], Rotation.random(24, rng=seed).as_matrix(), strict=True)
    ):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, center + nudge
        made.append(Frame(f"images/{index:06}.jpg", pose, camera))
    return tuple(made)


def test_the_persons_region_is_kept_only_while_the_cameras_stand(tmp_path: Path) -> None:
    path, own = tmp_path / "transforms.json", Region.around([1, 2, 3], 0.5)
    assert region_file.kept_region(path, frames(0)) == (None, "")
    transforms.write(path, Transforms(frames(0), own))
    assert region_file.kept_region(path, frames(0)) == (None, "")  # ours, not the person's
    transforms.write(path, Transforms(frames(0), own), extra={"region_source": "user"})
    kept, remark = region_file.kept_region(path, frames(0, nudge=1e-9))
    assert (kept, "kept" in remark) == (own, True)
    for moved in (frames(0, nudge=0.01), frames(0)[:-1]):
        kept, remark = region_file.kept_region(path, moved)
        assert (kept, "moved" in remark) == (None, True)


def test_the_picture_has_a_line_for_photos_without_a_pose(tmp_path: Path) -> None:
    points, poses = cloud(0), np.array([frame.world_from_cam for frame in frames(0)])
    subject = Subject(
        points, np.zeros(points.shape, np.uint8), poses, Region.around(points[0], 4.0)
    )
    heights = []
    long = "5 of 9 photos without a pose: " + ", ".join(["a photo with a long name.jpg"] * 20)
    for remark in ("", "1 of 9 photos without a pose: IMG_7.JPG", long):
        told = replace(subject, remark=remark)
        points_picture.draw(told, "title", target := tmp_path / "region.png")
        with Image.open(target) as image:
            heights.append(image.height)
            foot = np.asarray(image.convert("L"))[heights[0] :]
    assert heights[1] > heights[0] and (foot < 100).sum() > 100  # written there
    assert (foot[:, -12:] == 255).all(), "a long one ends within the picture"


def test_the_picture_shows_region_and_points(tmp_path: Path) -> None:
    points, poses = cloud(0), np.array([frame.world_from_cam for frame in frames(0)])
    red = np.full(points.shape, (255, 0, 0), np.uint8)
    subject = Subject(points, red, poses, Region.around(points.mean(axis=0), 4.0))
    points_picture.draw(subject, "title", target := tmp_path / "region.png")
    with Image.open(target) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert (pixels == (255, 0, 0)).all(axis=1).sum() > 200  # inside, full colour
    assert (pixels == (255, 165, 165)).all(axis=1).sum() > 10  # outside, pale
    assert (pixels == (10, 98, 200)).all(axis=1).sum() > 500  # sphere
