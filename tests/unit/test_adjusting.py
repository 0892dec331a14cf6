"""What the adjusting page computes: areas of the screen, what lies together, numbers, proposals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.scene.region import Region
from maquette.viewer.editing import View, in_view, lie_together
from maquette.viewer.proposing import differ
from maquette.viewer.region_numbers import RegionNumbers
from maquette.viewer.screen_selection import in_polygon, in_rectangle, on_screen

seeds = st.integers(0, 10_000)
few = settings(deadline=None, max_examples=30)


def cloud(seed: int, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


@few
@given(seeds)
def test_the_whole_screen_holds_what_is_in_view(seed: int) -> None:
    eye = View(np.array([0.3, 0.2, -2.0]), np.eye(3), 0.8, 1.6)
    points = cloud(seed)
    places = on_screen(points, eye)
    assert (in_rectangle(places, (1, 1), (0, 0)) == in_view(points, eye)).all()


@few
@given(seeds)
def test_a_lasso_round_a_rectangle_selects_what_the_rectangle_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-0.2, 1.2, (300, 2))
    places[:5] = np.nan  # behind the camera
    (a, b), (c, d) = np.sort(rng.uniform(0, 1, (2, 2)), axis=0)
    inside = in_polygon(places, [(a, b), (c, b), (c, d), (a, d)])
    assert (inside == in_rectangle(places, (a, b), (c, d))).all()


def test_a_lasso_may_be_concave() -> None:
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.2), (0.0, 1.0)]
    places = np.array([(0.5, 0.1), (0.5, 0.6), (0.1, 0.6), (0.9, 0.6)])
    assert in_polygon(places, corners).tolist() == [True, False, True, True]


@few
@given(seeds)
def test_far_points_are_no_part_of_what_lies_together_and_a_ball_is_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ball = cloud(seed)
    ball *= (rng.uniform(0, 1, len(ball)) ** (1 / 3) / np.linalg.norm(ball, axis=1))[:, None]
    far = rng.normal(size=(100, 3)) * 2 + [0, 0, 40.0]
    kept = lie_together(np.concatenate([ball, far]))
    assert kept[: len(ball)].all() and not kept[len(ball) :].any()


def test_nothing_and_one_point_lie_together() -> None:
    assert lie_together(np.zeros((0, 3))).tolist() == []
    assert lie_together(np.ones((1, 3))).tolist() == [True]


def gui() -> Any:
    """Fields that hold what they are given."""

    def field(label: str, value: Any, **options: Any) -> Any:
        return SimpleNamespace(value=value, on_update=lambda act: None, **options)

    return SimpleNamespace(add_vector3=field, add_number=field)


def test_numbers_are_short_and_what_is_left_alone_keeps_its_digits() -> None:
    region = Region.around((0.123456789, -1.987654321, 3.14159265), 0.828644943)
    taken: list[tuple[Any, float]] = []
    editor: Any = SimpleNamespace(
        region=region, set_sphere=lambda center, radius: taken.append((center, radius))
    )
    numbers = RegionNumbers(gui(), editor, lambda event, act: act())
    assert numbers.center.value == (0.123, -1.988, 3.142)
    assert numbers.radius.value == 0.829
    numbers.radius.value = 0.5
    numbers._take_sphere()
    assert tuple(taken[0][0]) == region.center and taken[0][1] == 0.5
    numbers.radius.value, numbers.center.value = 0.829, (0.2, -1.988, 3.142)
    numbers._take_sphere()
    assert tuple(taken[1][0]) == (0.2, *region.center[1:]) and taken[1][1] == region.radius


@pytest.mark.parametrize(
    ("center", "radius", "is_far"),
    [
        ((0, 0, 0), 1.2, False),
        ((0, 0, 0), 1.6, True),
        ((0, 0, 0), 0.6, True),
        ((0.7, 0, 0), 1.0, True),
    ],
)
def test_a_region_is_proposed_that_a_person_can_tell_from_the_present_one(
    center: tuple[float, float, float], radius: float, is_far: bool
) -> None:
    assert differ(Region.around(center, radius), Region.around((0, 0, 0), 1.0)) is is_far
