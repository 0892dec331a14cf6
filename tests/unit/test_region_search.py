"""The automatic region on scenes whose truth is known, and its symmetries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import region_scenes
from maquette.errors import BadInput
from maquette.scene import region_rules, region_search
from maquette.scene.region_fits import around_points
from maquette.scene.transforms import Intrinsics


@pytest.mark.parametrize("name", region_scenes.SCENES)
def test_the_region_holds_the_truth_and_not_much_more(name: str) -> None:
    scene = region_scenes.SCENES[name]()
    region = region_search.find(scene.scene_type, scene.model).region
    size = region.radius / around_points(scene.truth).radius
    assert region.contains(scene.truth).mean() >= 0.95
    assert 0.95 <= size <= 1.9


@pytest.mark.parametrize("name", [name for name in region_scenes.SCENES if "background" in name])
def test_background_hurts_the_upstream_rules_more(name: str) -> None:
    scene = region_scenes.SCENES[name]()
    model, truth = scene.model, around_points(scene.truth).radius
    ours = region_search.find(scene.scene_type, model).region.radius / truth
    theirs = region_rules.estimate(scene.scene_type, model.centers, model.axes, model.points)
    assert abs(np.log(ours)) < abs(np.log(theirs.region.radius / truth))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_sphere_turns_moves_and_scales_with_the_scene(seed: int) -> None:
    model = region_scenes.object_on_ground(seed, far=0.2).model
    random = np.random.default_rng(seed)
    scale, turn = random.uniform(0.1, 10), Rotation.random(rng=random).as_matrix()
    shift = 9 * random.normal(size=3)
    poses = model.world_from_cam.copy()
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    poses[:, :3, 3] = scale * model.centers @ turn.T + shift
    moved = replace(model, world_from_cam=poses, points=scale * model.points @ turn.T + shift)
    before, after = (region_search.find("object", m).region for m in (model, moved))
    assert after.radius == pytest.approx(scale * before.radius, rel=1e-6)
    expected = scale * turn @ np.asarray(before.center) + shift
    assert after.center == pytest.approx(expected, abs=1e-6 * after.radius)


def slow_view_radius(center: np.ndarray, pose: np.ndarray, lens: Intrinsics) -> float:
    """Grow a ball's rim until a point of it leaves the picture: by bisection over many points."""
    random = np.random.default_rng(0)
    away = random.normal(size=(20_000, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    small, large = 0.0, 10.0
    for _ in range(40):
        radius = (small + large) / 2
        local = (center + radius * away - pose[:3, 3]) @ pose[:3, :3]
        u = lens.fl_x * local[:, 0] / local[:, 2] + lens.cx
        v = lens.fl_y * local[:, 1] / local[:, 2] + lens.cy
        inside = (local[:, 2] > 0) & (u >= 0) & (u <= lens.width) & (v >= 0) & (v <= lens.height)
        small, large = (radius, large) if inside.all() else (small, radius)
    return small


def test_view_radii_against_their_slow_twin() -> None:
    model = region_scenes.object_on_ground().model
    center = np.add(region_scenes.CENTER, (0.2, -0.1, 0.3))
    lens = Intrinsics(640, 480, 500.0, 560.0, 300.0, 260.0)
    fast = region_search.view_radii(center, model.world_from_cam[:3], [lens] * 3)
    slow = [slow_view_radius(center, pose, lens) for pose in model.world_from_cam[:3]]
    assert fast == pytest.approx(slow, rel=5e-3)


def test_a_place_behind_the_camera_is_not_in_view() -> None:
    model = region_scenes.object_on_ground().model
    pose = model.world_from_cam[:1]
    behind = pose[0, :3, 3] - pose[0, :3, 2]
    assert region_search.view_radii(behind, pose, [model.lenses[0].pinhole()])[0] < 0


def test_cameras_without_a_common_place_say_so() -> None:
    flight = region_scenes.flight().model
    found = region_search.find("object", flight)
    assert found.rule == "density" and "common place" in found.remark
    assert region_search.find("outdoor", flight).remark == ""


def test_too_few_points_are_refused() -> None:
    model = region_scenes.room().model
    with pytest.raises(BadInput, match="only 3 points"):
        region_search.find("indoor", replace(model, points=model.points[:3]))
