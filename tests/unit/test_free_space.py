"""Where photographs show that there is nothing: before a wall, and below the sky."""

from __future__ import annotations

import numpy as np
import pytest

from maquette.recon.mvs.free_space import free_places, is_in_sky
from maquette.recon.mvs.sky import Photo, Sky
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics

WIDTH, HEIGHT = 80, 60
LENS = Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, 40.0, 30.0)
UP = np.array([0.0, -1.0, 0.0])
WALL = 2.0  # its distance from the cameras, which stand before the region and look along +z
REGION = Region.around([0.0, 0.0, WALL], 1.5)


def camera(x: float, lens: Intrinsics = LENS) -> Frame:
    pose = np.eye(4)
    pose[0, 3] = x
    return Frame(f"images/{x}.png", pose, lens)


def textured(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def under_a_sky(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and the depths of the wall in it, below so many rows of sky."""
    picture, depth = textured(), np.full((HEIGHT, WIDTH), WALL, np.float32)
    picture[:rows], depth[:rows] = (170, 190, 220), 0.0
    return picture, depth


def sky_of(picture: np.ndarray, depth: np.ndarray, up: np.ndarray = UP) -> np.ndarray:
    return Sky(up).shown_in(Photo(picture, depth, camera(0)))


def test_sky_is_smooth_without_depth_above_the_horizon_and_at_the_edge() -> None:
    picture, depth = under_a_sky(20)
    found = sky_of(picture, depth)
    assert found[:10].all() and not found[20:].any()
    assert not sky_of(picture, np.full_like(depth, WALL)).any(), "it has depths"
    assert not sky_of(textured(), depth).any(), "it has texture"
    assert not sky_of(picture, depth, -UP).any(), "it is the ground"
    turned = sky_of(picture[::-1], depth[::-1], -UP)
    assert turned[-10:].all() and not turned[:-20].any()


@pytest.mark.parametrize("where", [np.s_[8:24, 20:60], np.s_[:8, 30:38]])
def test_a_plain_part_of_a_wall_is_no_sky(where: tuple[slice, slice]) -> None:
    """Neither one with the wall around it, nor a small one."""
    picture, depth = textured(), np.full((HEIGHT, WIDTH), WALL, np.float32)
    picture[where], depth[where] = 230, 0.0
    assert not sky_of(picture, depth).any()


def test_what_goes_on_below_the_horizon_is_no_sky() -> None:
    """The plain wall of a house at the picture's side."""
    picture, depth = under_a_sky(20)
    picture[:, 60:], depth[:, 60:] = (220, 210, 200), 0.0
    found = sky_of(picture, depth)
    assert found[:10, :50].all() and not found[:, 60:].any()


def test_where_the_sky_is_blue_what_is_not_is_none() -> None:
    """A plain gable above a textured wall, in a photo that shows no sky."""
    blue, depth = under_a_sky(20)
    gable = blue.copy()
    gable[:20] = (220, 200, 150)
    photos = [Photo(picture, depth, camera(0)) for picture in (blue, blue, gable)]
    sky = Sky(UP).told_by(photos)
    assert sky.is_blue and sky.shown_in(photos[0])[:10].all()
    assert not sky.shown_in(photos[2]).any()
    grey = Sky(UP).told_by(photos[2:])
    assert not grey.is_blue and grey.shown_in(photos[2])[:10].all(), "one can not tell"


def test_a_blue_sky_takes_in_its_haze_and_its_clouds_but_no_mast() -> None:
    picture, depth = under_a_sky(20)
    rough = textured(1).astype(np.int16) // 12 - 10
    haze, cloud, mast = np.s_[14:20], np.s_[4:12, 50:66], np.s_[4:, 20:22]
    picture[haze] = np.clip(np.int16((180, 190, 205)) + rough[haze], 0, 255)
    picture[cloud] = np.clip(240 + rough[cloud], 0, 255)
    depth[cloud] = 1.0  # seen in the cloud's shape
    picture[mast], depth[mast] = 30, WALL
    found = sky_of(picture, depth)
    assert not found[16, :50].any() and not found[8, 56:60].any()
    blue = Sky(UP, is_blue=True).shown_in(Photo(picture, depth, camera(0)))
    assert blue[15, 30:45].all() and blue[8, 56:60].all()
    assert not blue[mast].any() and not blue[21:].any()


def test_points_that_views_show_as_sky_go() -> None:
    frames = [camera(x) for x in (-0.2, 0.2)]
    shown = np.zeros((HEIGHT, WIDTH), bool)
    shown[:20] = True
    points = np.array([[0, -0.9, WALL], [0, 0, WALL], [0, 0, -WALL], [1.3, -0.9, WALL]])
    found = is_in_sky(points, frames, range(2), lambda view: shown)
    assert found.tolist() == [True, False, False, False], "the last one is in one picture alone"


def found_free(rows: int, views: int = 3) -> np.ndarray:
    picture, depth = under_a_sky(rows)
    frames = [camera(x) for x in np.linspace(-0.2, 0.2, views)]
    return free_places(
        frames, range(views), lambda view: depth,
        lambda view: Sky(UP).shown_in(Photo(picture, depth, frames[view])), REGION,
    )  # fmt: skip


def test_space_is_free_before_the_wall_and_not_behind_it() -> None:
    places = found_free(rows=0)
    assert len(places) > 10_000
    assert np.linalg.norm(places - [0, 0, WALL], axis=1).max() <= 1.5 + 1e-6
    assert places[:, 2].max() < 0.97 * WALL
    near = places[np.abs(places[:, :2]).max(1) < 0.2]
    assert near[:, 2].max() > 0.95 * WALL, "up to the wall"


def test_space_is_free_below_the_sky_however_far() -> None:
    places = found_free(rows=20)
    behind = places[places[:, 2] > WALL]
    assert len(behind) > 1_000
    assert (behind[:, 1] / behind[:, 2]).max() < (20 - 30) / 60, "no lower than the wall's top"


def test_what_two_views_show_as_sky_is_free_whatever_depths_say() -> None:
    """A third view, which took a cloud for something near, does not fill it again."""
    _, depth = under_a_sky(20)
    frames, sky = [camera(x) for x in (-0.2, 0.0, 0.2)], depth == 0
    cloudy = np.where(sky, 0.5, depth)

    def found(views: int) -> np.ndarray:
        """Where only so many of the views know the sky; the others see the cloud."""
        return free_places(
            frames, range(3), lambda view: depth if view < views else cloudy,
            lambda view: sky & (view < views), REGION,
        )  # fmt: skip

    def above(places: np.ndarray) -> int:
        far = places[:, 2] > 1.2
        return int((far & (places[:, 1] / places[:, 2] < -0.4)).sum())

    assert above(found(2)) > 0.7 * above(found(3)) > 1_000
    assert above(found(1)) == 0


def test_most_places_are_asked_where_cameras_look_even_in_a_wide_sphere() -> None:
    _, depth = under_a_sky(0)
    frames, wide = [camera(x) for x in (-0.2, 0.0, 0.2)], Region.around([0.0, 0.0, WALL], 30.0)
    no_sky = np.zeros(depth.shape, bool)
    places = free_places(frames, range(3), lambda view: depth, lambda view: no_sky, wide)
    assert len(places) > 50_000 and (places[:, 2] < WALL).all()
    thirds = np.histogram(places[:, 2], [0.0, WALL / 3, 2 * WALL / 3, WALL])[0]
    assert thirds.min() > 0.2 * len(places), "as many near the cameras as near the wall"


def test_one_view_alone_tells_nothing() -> None:
    assert not len(found_free(rows=20, views=1))


def test_what_is_thinner_than_a_pixel_stays() -> None:
    """A rod that one column of a picture shows is not free beside its own pixel."""
    frames = [camera(0), camera(0)]
    depth = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    depth[:, 40] = WALL
    no_sky = np.zeros(depth.shape, bool)
    places = free_places(frames, range(2), lambda view: depth, lambda view: no_sky, REGION)
    column = 60.0 * places[:, 0] / places[:, 2] + 40.0
    beside = (column > 38) & (column < 43)
    assert beside.any() and places[beside, 2].max() < 0.97 * WALL
    assert places[~beside, 2].max() > 2.5
