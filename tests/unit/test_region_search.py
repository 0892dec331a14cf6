"""The automatic region on scenes whose truth is known, and its symmetries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import region_scenes
from filming import film, look_at, moved, sphere
from maquette.errors import BadInput
from maquette.scene import region_rules, region_search, region_support
from maquette.scene.region_fits import MARGIN, around_points
from maquette.scene.region_links import hanging_together


@pytest.mark.parametrize("draw", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2))])
@pytest.mark.parametrize("name", region_scenes.SCENES)
def test_the_region_holds_the_truth_and_not_much_more(name: str, draw: int) -> None:
    scene = region_scenes.SCENES[name](draw)
    for tight in (False, True):
        region = region_search.find(scene.scene_type, scene.model, tight=tight).region
        size = region.half_width / (around_points(scene.truth).radius / MARGIN)
        assert region.contains(scene.truth).mean() >= 0.98
        assert size <= 1.6


@pytest.mark.parametrize("name", ["figure, circled", "turntable with masks"])
def test_a_circled_object_gets_the_cameras_orbit_and_a_box_of_its_own(name: str) -> None:
    model = region_scenes.SCENES[name](0).model
    found = region_search.find("object", model)
    orbit = region_rules.estimate("object", model.centers, model.axes, model.points).region
    tight = region_search.find("object", model, tight=True).region
    assert (found.rule, found.region.center, found.region.radius) == (
        "poses", orbit.center, orbit.radius,
    )  # fmt: skip
    assert found.region.box == tight.box and tight.radius < 0.5 * orbit.radius
    assert region_search.find("outdoor", model).rule == "view"


def test_where_too_little_stands_in_the_circle_the_box_holds_the_orbit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(region_search, "thing", lambda *_: None)
    model = region_scenes.arc(350).model
    orbit = region_rules.estimate("object", model.centers, model.axes, model.points)
    assert region_search.find("object", model).region == orbit.region


@pytest.mark.parametrize("degrees", [90, 150, 290])
def test_an_object_seen_from_one_side_is_fitted(degrees: float) -> None:
    model = region_scenes.arc(degrees).model
    assert region_search.find("object", model).rule == "view"


def test_few_cameras_all_round_circle_and_a_cone_above_does_not() -> None:
    place = np.zeros(3)
    ring = [look_at(np.array([np.sin(t), -0.8, np.cos(t)]), place) for t in np.arange(7) * 0.9]
    assert region_search.is_circled(place, np.stack(ring))
    assert not region_search.is_circled(place, region_scenes.bust().model.world_from_cam)


def test_a_region_that_holds_little_says_what_it_leaves_out() -> None:
    scene = region_scenes.toy()
    remark = region_search.find("object", scene.model).remark
    assert "of the points and" in remark and "maquette region fit --points-inside" in remark
    assert region_search.find("object", region_scenes.bust().model).remark == ""


def test_a_thin_tip_with_a_handful_of_points_is_held() -> None:
    random = np.random.default_rng(0)
    tip = random.uniform(-0.02, 0.02, (8, 3)) + np.linspace((0.42, 0, 0), (0.62, 0, 0), 8)
    surface = np.concatenate([sphere(2000, np.zeros(3), 0.4, random), tip])
    turns = np.radians(np.linspace(-60, 60, 16))
    eyes = 2.5 * np.stack([np.sin(turns), np.full(16, -0.3), -np.cos(turns)], axis=1)
    model = film(np.stack([look_at(eye, np.zeros(3)) for eye in eyes]), surface, 0)
    assert region_search.find("object", model).region.contains(tip).all()


def test_a_scene_type_that_cameras_contradict_is_told() -> None:
    room, ring = region_scenes.room().model, region_scenes.arc(350).model
    assert "SCENE_TYPE=indoor" in region_search.find("object", room).remark
    assert region_search.find("indoor", room).remark == ""
    assert "SCENE_TYPE=object" in region_search.find("indoor", ring).remark


def test_no_camera_stands_in_the_region_of_a_thing() -> None:
    for scene in (region_scenes.bust(), region_scenes.house(), region_scenes.toy()):
        found = region_search.find(scene.scene_type, scene.model).region
        away = np.linalg.norm(scene.model.centers - np.asarray(found.center), axis=1)
        assert away.min() > found.radius


@settings(deadline=None, max_examples=4)
@given(st.integers(0, 10_000))
def test_the_sphere_turns_moves_and_scales_with_the_scene(seed: int) -> None:
    model = region_scenes.object_on_ground(seed, far=0.2).model
    after_model, scale, turn, shift = moved(model, seed)
    before, after = (
        region_search.find("object", m, tight=True).region for m in (model, after_model)
    )
    assert after.radius == pytest.approx(scale * before.radius, rel=0.02)
    expected = scale * turn @ np.asarray(before.center) + shift
    assert np.linalg.norm(after.center - expected) < 0.02 * after.radius


@pytest.mark.parametrize("rule", ["auto", "view", "upstream"])
def test_every_rule_gives_a_region(rule: region_search.Rule) -> None:
    model = region_scenes.arc(350).model
    found = region_search.by_rule(rule, "object", model)
    assert (found.rule == "view") == (rule == "view")


@pytest.mark.parametrize("draw", range(5))
def test_groups_against_their_slow_twin(draw: int) -> None:
    random = np.random.default_rng(draw)
    points = random.normal(size=(60, 3)) * [1, 1, 0.2]
    first = np.arange(60) == 0
    fast = hanging_together(points, first, 1.0, 1.0, 1.0)  # the group of the first point
    cells = np.floor((points - points[0]) / 0.2)
    slow, before = first, first & False
    while (slow != before).any():
        before = slow
        steps = np.abs(cells[:, None] - cells[None, slow]).max(axis=2)
        slow = slow | (steps <= 1).any(axis=1)
    assert (fast == slow).all()


@pytest.mark.parametrize("draw", range(4))
def test_ground_is_found_under_noise_and_wrong_points(draw: int) -> None:
    random = np.random.default_rng(draw)
    ground = random.uniform(-1, 1, (300, 3)) * [1, 0.005, 1]
    things = random.uniform(-0.3, 0.3, (150, 3)) - [0, 0.32, 0]
    centers = random.normal(size=(9, 3)) * [1, 0, 1] - [0, 2, 0]
    plane = region_support.find(
        np.concatenate([ground, things]), centers, np.array([0, -1.0, 0]), 1
    )
    assert plane is not None
    assert plane.normal @ [0, -1, 0] > 0.999
    assert (plane.height(ground) < plane.thickness).mean() > 0.98
    below = np.add(centers, (0, 4, 0))
    assert region_support.find(ground, below, np.array([0, -1.0, 0]), 1) is None


def test_cameras_without_a_common_place_say_so() -> None:
    flight = region_scenes.town().model
    found = region_search.find("object", flight)
    assert found.rule == "density" and "common place" in found.remark
    assert region_search.find("outdoor", flight).remark == ""


def test_too_few_points_are_refused() -> None:
    model = region_scenes.room().model
    with pytest.raises(BadInput, match="only 3 points"):
        region_search.find("indoor", replace(model, points=model.points[:3]))
