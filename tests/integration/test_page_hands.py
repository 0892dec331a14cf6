"""The web page under a person's hands: notes, full screen, touch, and a walk over terrain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import web_scene
from browsing import in_browser, until
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.triangles import TriangleMesh
from web_scene import BALLS, EYE, place
from web_window import Opened

pytestmark = in_browser
HILL, WALL_AT, HALF = 0.35, 1.0, 4.0  # height of hills; along back; half the terrain's side
PHONE = {"width": 390, "height": 800}


def hill_height(right: float, back: float) -> float:
    return HILL * float(np.sin(1.6 * right) * np.cos(1.3 * back))


def terrain() -> TriangleMesh:
    """Hills, as a ground mesh of a flight has them, and a house's wall across them."""
    line = np.linspace(-HALF, HALF, 41)
    points = [place(x, hill_height(x, z), z) for x in line for z in line]
    cells = [(41 * i + j, 41 * i + j + 1, 41 * i + j + 41, 41 * i + j + 42)
             for i in range(40) for j in range(40)]  # fmt: skip
    faces = [face for a, b, c, d in cells for face in ((a, b, c), (b, d, c))]
    first = len(points)
    points += [place(x, up, WALL_AT) for x, up in ((-HALF, -1), (HALF, -1), (-HALF, 3), (HALF, 3))]
    faces += [(first, first + 1, first + 2), (first + 1, first + 3, first + 2)]
    colors = np.full((len(points), 3), 0.5)
    return TriangleMesh(np.array(points, np.float32), np.array(faces, np.int32), colors=colors)


def test_a_walk_by_keys_over_an_aerial_ground_stays_at_eye_height_and_walls_stop_it(
    page: Opened, web_site: Path
) -> None:
    scene = web_site / "scene"
    write_glb(scene / "terrain.glb", terrain(), web_scene.UP, "terrain")
    told = json.loads((scene / "meshes.json").read_text()) | {"collision_url": "terrain.glb"}
    (scene / "terrain.json").write_text(json.dumps(told))
    page.open("?manifest=../scene/terrain.json")
    page.content.keyboard.press("3")
    until(lambda: page.run("return viewer.viewpoint.mode") == "walk")
    heights = []

    def walked(key: str, until_there: object) -> None:
        page.content.keyboard.down(key)
        try:
            until(lambda: until_there(look()))
        finally:
            page.content.keyboard.up(key)

    def look() -> np.ndarray:
        across, height, back = page.eye()
        assert height == pytest.approx(EYE + hill_height(across, back), abs=0.02)
        heights.append(height)
        return np.array([across, back])

    page.content.keyboard.down("Shift")
    walked("d", lambda at: at[0] > 0.6)
    walked("w", lambda at: at[1] < WALL_AT + 0.4)
    page.run("for (let n = 0; n < 50; n += 1) viewer.viewpoint.move(0, 0, 1, 0.1)")
    assert WALL_AT < look()[1] < WALL_AT + 0.3
    assert max(heights) - min(heights) > HILL / 2  # it went up and down


def test_a_thumb_on_the_joystick_moves_and_a_second_finger_looks_around(page: Opened) -> None:
    page.open("?manifest=../scene/meshes.json", size=PHONE)
    page.content.get_by_role("button", name="Fly", exact=True).tap()
    box = until(page.content.locator("#stick").bounding_box)
    thumb = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "id": 1}
    ahead = {**thumb, "y": box["y"] + 4}
    finger = {"x": 300, "y": 300, "id": 2}
    session = page.content.context.new_cdp_session(page.content)

    def touch(kind: str, *points: dict[str, float]) -> None:
        told = {"type": kind, "touchPoints": list(points)}
        session.send("Input.dispatchTouchEvent", told)

    start, yaw = page.eye(), page.run("return viewer.viewpoint.goal.yaw")
    touch("touchStart", thumb)
    touch("touchMove", ahead)
    until(lambda: page.eye()[2] < start[2] - 0.05)
    touch("touchStart", ahead, finger)
    touch("touchMove", ahead, {**finger, "x": 220})
    until(lambda: abs(page.run("return viewer.viewpoint.goal.yaw") - yaw) > 5)
    touch("touchEnd")
    assert page.run("return viewer.controls.stick") == [0, 0]


def test_full_screen_by_button_and_by_key(page: Opened) -> None:
    page.open("?manifest=../scene/meshes.json")
    is_full = "() => document.fullscreenElement !== null"
    page.press("Full screen")
    page.content.wait_for_function(is_full)
    page.content.keyboard.press("Enter")
    page.content.wait_for_function("() => document.fullscreenElement === null")
    page.content.keyboard.press("Enter")
    page.content.wait_for_function(is_full)


def test_enter_on_a_button_that_the_keyboard_reached_presses_that_alone(page: Opened) -> None:
    page.open("?manifest=../scene/meshes.json")
    page.content.get_by_role("button", name="Layers", exact=True).focus()
    page.content.keyboard.press("Enter")
    assert page.content.locator("#panel").is_visible()
    assert page.content.evaluate("document.fullscreenElement") is None


def test_a_note_on_a_published_page_travels_in_the_link_and_given_ones_stay_single(
    page: Opened,
) -> None:
    page.open("?manifest=../scene/meshes.json")
    page.press("Add a note")
    page.content.mouse.click(*page.pixel_of(place(*BALLS["green"][0])))
    page.content.get_by_placeholder("Title").fill("Mine")
    page.press("Keep")
    page.press("Red")  # the manifest's own can only be read here
    assert page.content.get_by_role("button", name="Remove").count() == 0
    page.press("Copy a link to this view")
    link = until(lambda: "view=" in page.content.url and page.content.url)
    page.open(link.split("index.html")[1])
    assert page.run("return tools.annotations.list.map((mark) => mark.title)") == ["Red", "Mine"]
    page.press("Mine")
    page.press("Remove")
    assert page.run("return tools.annotations.stored(false)") == []


def test_a_walk_whose_start_lies_inside_something_begins_under_the_present_view(
    page: Opened, web_site: Path
) -> None:
    scene = web_site / "scene"
    write_glb(scene / "terrain.glb", terrain(), web_scene.UP, "terrain")
    inside = {"position": list(place(0, -3, 0)), "look_at": list(place(0, -3, -1))}
    view = {"position": list(place(0.5, 2, 3)), "look_at": list(place(0, 0, 0))}
    told = json.loads((scene / "meshes.json").read_text())
    told |= {"collision_url": "terrain.glb", "walk_camera_defaults": inside, "start_view": view}
    (scene / "inside.json").write_text(json.dumps(told | {"ground_height": -3 - EYE}))
    page.open("?manifest=../scene/inside.json")
    page.press("Walk")
    until(lambda: page.run("return viewer.viewpoint.mode") == "walk")
    across, height, back = page.eye()
    assert (across, back) == pytest.approx((0.5, 3), abs=1e-3)
    assert height == pytest.approx(EYE + hill_height(across, back), abs=0.02)


def test_the_border_of_a_comparison_is_moved_by_keys(page: Opened) -> None:
    page.open()
    page.press("Compare side by side")
    bar = page.content.get_by_role("slider", name="Border of the comparison")
    until(bar.is_visible)
    bar.focus()
    before = page.eye()
    page.content.keyboard.press("ArrowRight")
    assert bar.get_attribute("aria-valuenow") == "52"
    assert page.run("return viewer.stage.split.share") == pytest.approx(0.52)
    assert np.abs(page.eye() - before).max() == 0


def test_on_a_phone_every_button_and_every_note_is_inside_the_window(page: Opened) -> None:
    page.open("?manifest=../scene/manifest.json", size=PHONE)
    buttons = page.content.locator("#toolbar button").all()
    assert len(buttons) == 15
    page.content.get_by_role("button", name="Red", exact=True).tap()
    for element in [*buttons, page.content.locator("#marks .text")]:
        box = element.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
