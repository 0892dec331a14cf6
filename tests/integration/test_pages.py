"""The adjusting page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from browsing import BOX, CENTER, LIMIT_S, Window, in_browser, until
from maquette.scene import transforms
from maquette.scene.region import Region
from maquette.scene.workspace import open_workspace

viser = pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.viewer import point_cloud  # noqa: E402
from maquette.viewer.adjust_page import FIT_SCREEN  # noqa: E402
from maquette.viewer.point_cloud import PointCloud  # noqa: E402
from maquette.viewer.selecting import TOOLS  # noqa: E402

pytestmark = in_browser


def saved(workspace: Path) -> Region:
    return transforms.read(workspace / "transforms.json").region


def type_into(window: Window, label: str, which: int, value: str) -> None:
    folder = window.content.get_by_text(label, exact=True).locator("xpath=../../..")
    field = folder.locator("input").nth(which)
    field.fill(value)
    field.press("Enter")


def test_the_page_shows_the_scene_and_numbers_save_and_reload(
    opened: Callable[[], Window], workspace: Path
) -> None:
    window = opened()
    assert "8 cameras" in window.content.content()
    type_into(window, "radius", 0, "0.5")
    until(lambda: window.page.editor.region.radius == 0.5)
    window.content.get_by_text("not saved").wait_for()
    assert saved(workspace).radius == 1.0
    window.click("Save")
    until(lambda: saved(workspace).radius == 0.5)
    assert saved(workspace).box == tuple(map(tuple, np.array(BOX, float)))
    window.content.reload()
    window.content.get_by_text("· saved").wait_for()
    again = opened()
    assert again.page.editor.region.radius == 0.5
    again.click("Automatic")
    until(lambda: again.page.editor.region.radius != 0.5)
    again.click("Reset")
    until(lambda: again.page.editor.region.radius == 0.5)
    again.click("Undo")
    until(lambda: again.page.editor.region.radius != 0.5)


def turn_to(window: Window, tab: str) -> None:
    window.content.get_by_role("tab", name=tab).click()


def drag(window: Window, start_px: np.ndarray, towards_px: np.ndarray) -> None:
    mouse = window.content.mouse
    mouse.move(*start_px)
    mouse.down()
    for share in np.linspace(0, 1, 8):
        mouse.move(*(start_px + share * (towards_px - start_px)))
    mouse.up()


def pixel_of(window: Window, world: np.ndarray) -> np.ndarray:
    """Where the window draws a world point; viser cameras look along +z with y down."""
    (client,) = window.page.server.get_clients().values()
    w, x, y, z = client.camera.wxyz
    rotation = viser.transforms.SO3(np.array([w, x, y, z])).as_matrix()
    local = rotation.T @ (window.page.display.points(world) - client.camera.position)
    canvas = window.content.locator("canvas[data-engine]").bounding_box()
    high = canvas["height"] / 2 / np.tan(client.camera.fov / 2)
    middle = [canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2]
    return np.array(middle) + local[:2] / local[2] * high


SHAFT, PULL = 0.28, 0.4  # where an arrow is taken and how far it is drawn, in radii
LOW, HIGH = np.array(BOX)[:, 0], np.array(BOX)[:, 1]
HANDLES = {
    "centre": ("sphere", CENTER, (0, 1, 2)),
    "rim": ("sphere", np.add(CENTER, (1.0, 0, 0)), (0,)),
    "box min": ("box", LOW, (0, 1, 2)),
    "box max": ("box", HIGH, (0, 1, 2)),
}


@pytest.mark.parametrize("name", HANDLES)
def test_a_handle_that_is_dragged_takes_its_part_of_the_region_along(
    name: str, opened: Callable[[], Window], workspace: Path
) -> None:
    shape, place, axes = HANDLES[name]
    window = opened()
    if shape != "sphere":
        choose(window, "handles", shape)
    find = window.page.server.scene.get_handle_by_name
    until(lambda: find(f"/handles/{shape}/{'rim' if shape == 'sphere' else 'max'}"))
    first = window.page.editor.region
    for axis in axes:
        before, step = window.page.editor.region, np.eye(3)[axis]
        until(partial(drag_along, window, place, step))
        until(lambda: not window.page.handles.dragged)
        after = window.page.editor.region
        shift = np.zeros(3)
        if name == "rim":
            shift[axis] = after.radius - before.radius
            assert (after.center, after.box) == (before.center, before.box)
        elif name == "centre":
            shift = np.subtract(after.center, before.center)
            assert (after.radius, after.box) == (before.radius, before.box)
        else:
            shifts = np.subtract(after.box, before.box)
            shift, other = shifts.T if name == "box min" else shifts.T[::-1]
            assert (after.center, after.radius) == (before.center, before.radius)
            assert not other.any()
        assert shift == pytest.approx(PULL * step, abs=0.03)
        place = place + shift
    assert saved(workspace) == first
    window.shot(f"dragged {name}")
    for _ in axes:
        window.click("Undo")
    until(lambda: window.page.editor.region == first)


def drag_along(window: Window, place: np.ndarray, step: np.ndarray) -> bool:
    """Draw at the arrow of a handle; whether anything followed, once it is on the screen."""
    before = window.page.editor.region
    (client,) = window.page.server.get_clients().values()
    client.camera.position = np.array([3.0, -3.0, -2.2])  # no axis points at the window
    client.camera.look_at = np.zeros(3)
    point_cloud.BrowserWindow(window.page.server, client).frame_s()  # until the camera stands still
    start = pixel_of(window, place + SHAFT * step)
    drag(window, start, pixel_of(window, place + (SHAFT + PULL) * step))
    with suppress(AssertionError):
        until(lambda: window.page.editor.region != before, 5)
    return window.page.editor.region != before


def choose(window: Window, label: str, option: str) -> None:
    window.content.get_by_role("combobox", name=label).click()
    window.content.get_by_role("option", name=option, exact=True).click()


def test_fit_to_what_is_on_the_screen_and_to_cameras(opened: Callable[[], Window]) -> None:
    window = opened()
    turn_to(window, "Show")
    window.content.get_by_text("hide points outside").locator("xpath=../../..").locator(
        "input[type=checkbox]"
    ).check()
    until(lambda: window.page.cloud.hides_outside)
    turn_to(window, "Region")
    window.click(FIT_SCREEN)
    until(lambda: window.page.editor.region.radius < 0.9)
    assert np.linalg.norm(np.subtract(window.page.editor.region.center, CENTER)) < 0.2
    window.click("Through cameras")
    until(lambda: window.page.editor.region.radius > 3)
    assert window.page.editor.region.center == pytest.approx(CENTER, abs=1e-6)


def test_far_points_on_the_screen_do_not_widen_a_fit(opened: Callable[[], Window]) -> None:
    window = opened()
    window.click(FIT_SCREEN)
    until(lambda: window.page.editor.region.radius != 1.0)
    assert 0.55 < window.page.editor.region.radius < 1.0  # the far ones reach 9
    assert np.linalg.norm(np.subtract(window.page.editor.region.center, CENTER)) < 0.2


@pytest.mark.parametrize("tool", TOOLS[1:])
def test_a_box_or_a_lasso_selects_points_and_the_region_is_fitted_to_them(
    tool: str, opened: Callable[[], Window]
) -> None:
    window = opened()
    (client,) = until(window.page.server.get_clients).values()
    point_cloud.BrowserWindow(window.page.server, client).wait_until_drawn()
    choose(window, "dragging", tool)
    up = pixel_of(window, CENTER)  # the left half of the inner ball lies left of it
    corners = np.array([(-130, -130), (-130, 130), (-4, 130), (-4, -130)]) + up

    def selected() -> int:
        mouse = window.content.mouse
        mouse.move(*corners[0])
        mouse.down()
        path = corners[[0, 2]] if tool == TOOLS[1] else corners
        for start, end in pairwise(path):
            for share in np.linspace(0, 1, 8):
                mouse.move(*(start + share * (end - start)))
        mouse.up()
        with suppress(AssertionError):
            until(lambda: window.page.selection.count, 5)
        return window.page.selection.count

    count = until(selected)
    assert 500 < count < 1100  # of 1500 in the ball, and some far ones behind and before it
    window.shot(f"selected {tool}")
    window.click(f"Fit to {count:,} selected points")
    until(lambda: window.page.editor.region.radius < 1.0)
    window.click("Clear the selection")
    until(lambda: not window.page.selection.count)
    window.content.get_by_role("button", name=FIT_SCREEN, exact=True).wait_for()


def test_save_and_undo_are_offered_where_there_is_something_to_save_or_undo(
    opened: Callable[[], Window],
) -> None:
    window = opened()
    assert window.content.title() == "Region of owlet"
    save = window.content.get_by_role("button", name="Save", exact=True)
    until(save.is_disabled)
    assert not window.content.get_by_role("button", name="Undo").is_visible()
    type_into(window, "radius", 0, "0.5")
    until(save.is_enabled)
    window.click("Undo")
    until(save.is_disabled)
    until(lambda: not window.content.get_by_role("button", name="Undo").is_visible())


def test_the_tight_region_is_proposed_where_the_present_one_is_far_wider(
    opened: Callable[[], Window], workspace: Path
) -> None:
    open_workspace(workspace).save(Region.around(CENTER, 4.0))
    window = opened()
    window.click("Take the tight region")
    until(lambda: window.page.editor.region.radius < 2.0)
    assert saved(workspace).radius == 4.0
    taken = window.content.get_by_role("button", name="Take the tight region")
    until(lambda: not taken.is_visible())


def test_a_phone_shows_whole_numbers(opened: Callable[[], Window]) -> None:
    window = opened()
    window.content.set_viewport_size({"width": 390, "height": 844})
    type_into(window, "box min", 0, "-1.125")
    low = window.content.get_by_text("box min", exact=True).locator("xpath=../../..")
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    until(lambda: low.locator("input").evaluate_all(cut) == 0)
    window.shot("phone")


def test_clicking_a_camera_shows_its_photo(opened: Callable[[], Window]) -> None:
    window = opened()
    until(lambda: window.page.server.get_clients())
    places = [pixel_of(window, c.world_from_cam[:3, 3] + 0.08 * c.world_from_cam[:3, 2])
              for c in window.page.cameras]  # fmt: skip
    reachable = [place for place in places if 20 < place[0] < 640 and 20 < place[1] < 620]

    def click_one() -> bool:
        for place in reachable:
            window.content.mouse.click(*place)
            with suppress(AssertionError):
                until(lambda: window.page.photos.frustum is not None, 1)
                return True
        return False

    until(click_one)
    turn_to(window, "Show")
    window.content.get_by_text(".jpg").first.wait_for()
    window.shot("photo")


def test_a_photo_is_looked_through_and_hidden_again(opened: Callable[[], Window]) -> None:
    window = opened()
    (client,) = until(window.page.server.get_clients).values()
    turn_to(window, "Show")
    type_into(window, "camera", 1, "3")  # the first one is the slider's own
    until(lambda: window.page.photos.frustum is not None)
    window.content.get_by_text("0003.jpg").wait_for()
    window.click("Look through it")
    camera = window.page.cameras[3]
    place = window.page.display.points(camera.world_from_cam[:3, 3])
    until(lambda: np.allclose(client.camera.position, place, atol=1e-3))
    turn = viser.transforms.SO3(np.array(client.camera.wxyz)).as_matrix()
    assert turn == pytest.approx(camera.world_from_cam[:3, :3], abs=1e-3)
    assert np.tan(client.camera.fov / 2) == pytest.approx(
        camera.lens.height / 2 / camera.lens.fl_y, rel=1e-3
    )
    middle = np.array(pixel_of(window, camera.world_from_cam[:3, 3] + camera.world_from_cam[:3, 2]))
    color = (40 + 3 * 13, 90, 160)

    def shows_photo() -> bool:
        """Whether most of what lies about the middle has the photo's colour."""
        column, row = middle.astype(int)
        part = window.shot("look through")[row - 40 : row + 40, column - 40 : column + 40]
        return bool((np.abs(part.astype(int) - color).max(axis=-1) < 30).mean() > 0.5)

    until(shows_photo)
    window.click("Hide the photo")
    until(lambda: window.page.photos.frustum is None)
    until(lambda: not shows_photo())
    window.content.get_by_text("click a camera to see its photo").wait_for()


def test_two_windows_of_one_page_show_the_same(opened: Callable[[], Window]) -> None:
    first = opened()
    second = first.browser.new_page()
    try:
        second.set_default_timeout(1000 * LIMIT_S)
        second.goto(first.proxy.url)
        second.get_by_text("points inside").wait_for()
        type_into(first, "radius", 0, "0.625")
        field = second.get_by_text("radius", exact=True).locator("xpath=../../..").locator("input")
        until(lambda: float(field.first.input_value()) == 0.625)
        assert len(first.page.server.get_clients()) == 2
    finally:
        second.close()


def test_a_second_window_is_asked_before_it_overwrites(
    opened: Callable[[], Window], workspace: Path
) -> None:
    mine, theirs = opened(), opened()
    type_into(theirs, "radius", 0, "0.7")
    until(lambda: theirs.page.editor.region.radius == 0.7)
    theirs.click("Save")
    until(lambda: saved(workspace).radius == 0.7)
    type_into(mine, "radius", 0, "0.4")
    until(lambda: mine.page.editor.region.radius == 0.4)
    mine.click("Save")
    mine.content.get_by_text("was changed meanwhile").wait_for()
    assert saved(workspace).radius == 0.7
    mine.shot("conflict")
    mine.click("Save mine over it")
    until(lambda: saved(workspace).radius == 0.4)


def test_an_unusable_number_is_told_and_changes_nothing(
    opened: Callable[[], Window], workspace: Path
) -> None:
    window = opened()
    before = window.page.editor.region
    type_into(window, "box min", 0, "4")  # equal to box max: an empty box
    window.content.get_by_text("box is empty").wait_for()
    assert window.page.editor.region == before


def test_a_folder_that_can_not_be_written_is_told(
    opened: Callable[[], Window], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened()
    type_into(window, "radius", 0, "0.5")
    until(lambda: window.page.editor.region.radius == 0.5)

    def refuse(**_: object) -> None:
        raise PermissionError(13, "read-only", str(workspace))

    monkeypatch.setattr("tempfile.mkstemp", refuse)  # root may write anywhere
    window.click("Save")
    window.content.get_by_text("not allowed while saving the region").wait_for()
    assert saved(workspace).radius == 1.0


def drawn(window: Window) -> int:
    find = window.page.server.scene.get_handle_by_name
    return sum(len(find(f"/points/{side}").points) for side in ("inside", "outside"))


def test_fewer_points_are_drawn_but_all_are_counted(
    opened: Callable[[], Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.viewer.point_cloud._STEPS", (150,))
    monkeypatch.setattr("maquette.viewer.point_cloud.FEW_DRAWN", 150)
    monkeypatch.setattr("maquette.viewer.point_cloud._QUICK_S", 0.0)  # no window is that quick
    window = opened()
    assert drawn(window) == 150
    assert window.page.editor.counts()[2] == 2000
    window.content.get_by_text("of 2,000 points inside").wait_for()
    turn_to(window, "Show")
    choose(window, "points drawn", "2,000")
    until(lambda: drawn(window) == 2000)


@pytest.mark.parametrize(
    ("slow_s", "unasked", "draws"),
    [(30, 5000, [150, 600, 2000]), (30, 700, [150, 600]), (1e-9, 5000, [150, 600, 150])],
)
def test_more_points_are_drawn_by_themselves_unless_that_is_slow(
    slow_s: float, unasked: int, draws: list[int], opened: Callable[[], Window],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("maquette.viewer.point_cloud._STEPS", (150, 600))
    monkeypatch.setattr("maquette.viewer.point_cloud.FEW_DRAWN", 150)
    monkeypatch.setattr("maquette.viewer.point_cloud.MOST_UNASKED", unasked)
    monkeypatch.setattr("maquette.viewer.point_cloud._QUICK_S", 30)
    monkeypatch.setattr("maquette.viewer.point_cloud._SLOW_S", slow_s)
    seen = []
    draw = PointCloud.draw

    def noted(self: PointCloud, region: Region) -> None:
        draw(self, region)
        seen.append(int(self._chosen.sum()))

    monkeypatch.setattr(PointCloud, "draw", noted)
    window = opened()
    until(lambda: window.page.budget.is_done)
    assert seen == draws and drawn(window) == draws[-1]
    turn_to(window, "Show")
    shown = window.content.get_by_role("combobox", name="points drawn")
    until(lambda: shown.input_value() == f"{draws[-1]:,}")
