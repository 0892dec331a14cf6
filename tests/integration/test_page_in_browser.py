"""The web page in a real browser, on a scene whose every place and colour is known."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import web_scene
from browsing import LIMIT_S, SIZE, in_browser, until
from web_scene import BALLS, EYE, SLOPE, SLOPE_BEGINS, WALL_AT, place
from web_window import NEAR, Opened

pytestmark = in_browser
BEHIND = (16, 24, 32)  # the manifest's background


@pytest.mark.parametrize("name", ["sog", "ply", "splat", "meshes", "points"])
def test_every_format_shows_the_balls_where_they_are_in_their_colours(
    page: Opened, name: str
) -> None:
    page.open(f"?manifest=../scene/{name}.json")
    for where, color in BALLS.values():
        until(lambda where=where, color=color: page.shows(place(*where), color))
    high, low = page.pixel_of(place(0, 2, 0)), page.pixel_of(place(0, 1, 0))
    right = page.pixel_of(place(1, 1, 0))
    assert high[1] < low[1] - 20 and abs(high[0] - low[0]) < 2  # up is up
    assert right[0] > low[0] + 20 and abs(right[1] - low[1]) < 2
    assert np.abs(page.picture(name)[5, 990] - BEHIND).max() <= NEAR
    host = urlsplit(page.address).netloc
    assert {urlsplit(url).netloc for url in page.asked if not url.startswith(("data", "blob"))} == {
        host
    }


def test_a_mesh_and_splats_together_and_side_by_side(page: Opened) -> None:
    page.open()
    page.press("Layers")
    page.content.get_by_role("checkbox", name="mesh").check()
    page.run("await viewer.show(viewer.entries[0], true)")
    until(lambda: page.run("return viewer.entries[1].state") == "shown")
    for where, color in BALLS.values():
        assert until(lambda where=where, color=color: page.shows(place(*where), color, 30))
    page.press("Compare side by side")
    until(lambda: page.run("return viewer.stage.split !== null"))
    (right, *_), red = BALLS["red"]
    assert right > 0
    until(lambda: page.shows(place(*BALLS["red"][0]), red))  # of the mesh
    until(lambda: page.shows(place(*BALLS["green"][0]), BALLS["green"][1]))  # of the splats
    edge = place(*BALLS["red"][0]) + 0.97 * web_scene.RADIUS * web_scene.UP
    until(lambda: page.shows(edge, red, 30))  # solid to its edge there; a splat fades
    page.picture("compare")
    page.run("tools.comparing.move(0.95)")
    until(lambda: not page.shows(edge, red, 30))
    page.press("Compare side by side")
    assert page.run("return viewer.stage.split") is None


def test_keys_fly_and_reset_comes_back(page: Opened) -> None:
    page.open()
    start = page.eye()
    assert start == pytest.approx([0, 1.2, 7], abs=1e-3)
    page.press("Fly")
    for key, axis, sign in (("w", 2, -1), ("d", 0, 1), ("e", 1, 1), ("s", 2, 1)):
        before = page.eye()
        page.content.keyboard.down(key)
        until(lambda axis=axis, before=before: abs(page.eye()[axis] - before[axis]) > 0.05)
        page.content.keyboard.up(key)
        moved = page.eye() - before
        assert sign * moved[axis] > 0 and np.abs(np.delete(moved, axis)).max() < 1e-3
    page.content.keyboard.press("r")
    until(lambda: np.abs(page.eye() - start).max() < 1e-3)
    page.content.keyboard.press("f")
    until(lambda: page.eye()[2] > 7.5)  # all in view is farther away
    until(lambda: page.run("const v = viewer.viewpoint; return v.now.distance === v.goal.distance"))
    far = page.eye()[2]
    page.content.mouse.move(500, 320)
    page.content.mouse.wheel(0, -600)
    until(lambda: page.eye()[2] < far - 0.5)


def test_a_walker_stays_on_the_ground_stops_at_a_wall_and_climbs_a_slope(page: Opened) -> None:
    page.open()
    page.press("Walk")
    until(lambda: page.run("return viewer.viewpoint.mode") == "walk")
    assert page.eye() == pytest.approx([0, EYE, 3], abs=1e-3)
    steps = "for (let step = 0; step < 200; step += 1) viewer.viewpoint.move({}, 0, {}, 0.1)"
    page.run(steps.format(0, 1))
    across, height, back = page.eye()
    assert height == pytest.approx(EYE, abs=1e-3) and abs(across) < 0.1
    assert WALL_AT < back < WALL_AT + 0.3
    page.run(steps.format(0.5, 0))
    across, height, _ = page.eye()
    assert across > SLOPE_BEGINS + 0.5
    assert height == pytest.approx(EYE + SLOPE * (across - SLOPE_BEGINS), abs=2e-3)
    page.run(steps.format(1, 0))
    assert page.eye()[0] <= SLOPE_BEGINS + 3  # where the ground ends


def test_a_known_distance_a_note_and_a_link_that_holds_the_view(page: Opened) -> None:
    page.open("?manifest=../scene/meshes.json")
    page.press("Measure a distance")
    ends = [place(*BALLS[name][0]) for name in ("red", "green")]
    for end in ends:
        page.run(f"await tools.measuring.clicked(...{page.pixel_of(end).tolist()})")
    label = page.content.locator("#marks b")
    assert label.inner_text().endswith(" m")
    eye = place(0, 1.2, 7)
    nearest = [end + web_scene.RADIUS * (eye - end) / np.linalg.norm(eye - end) for end in ends]
    truth = 2 * float(np.linalg.norm(nearest[0] - nearest[1]))  # the unit is half a metre
    assert float(label.inner_text().split()[0]) == pytest.approx(truth, rel=0.02)
    page.press("Add a note")
    page.content.mouse.click(*page.pixel_of(ends[1]))
    page.content.get_by_placeholder("Title").fill("Green one")
    page.press("Keep")
    page.picture("tools")
    page.run("viewer.viewpoint.turn(40, -10)")
    until(lambda: page.run("const v = viewer.viewpoint; return v.now.yaw === v.goal.yaw"))
    eye = page.eye()
    page.press("Copy a link to this view")
    link = until(lambda: "view=" in page.content.url and page.content.url)
    page.open(link.split("index.html")[1])
    assert page.eye() == pytest.approx(eye, abs=1e-3)
    page.press("Green one")
    assert page.content.locator("#marks .text").inner_text().startswith("Green one")


def test_a_camera_shows_its_photo_and_a_picture_can_be_saved(page: Opened) -> None:
    page.open()
    page.run("await tools.cameras.show(true)")
    page.content.mouse.click(*page.pixel_of(place(2, 1.5, 1)))
    image = page.content.get_by_role("figure").locator("img")
    until(lambda: image.evaluate("image => image.naturalWidth") == 40)
    until(lambda: np.abs(page.eye() - [2, 1.5, 1]).max() < 1e-3)
    with page.content.expect_download() as download:
        page.press("Save a picture")
    assert download.value.suggested_filename == "Three balls.png"
    with Image.open(download.value.path()) as saved:
        colors = {color for _, color in saved.convert("RGB").getcolors(1 << 20)}
    assert len(colors) > 20  # not the empty buffer of a frame that is over


def test_a_phone_has_no_overflow_and_a_joystick(page: Opened) -> None:
    page.open(size={"width": 390, "height": 800})
    assert page.content.evaluate("document.documentElement.scrollWidth") <= 390
    page.press("Fly")
    stick = page.content.locator("#stick")
    box = until(stick.bounding_box)
    start = page.eye()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.content.mouse.move(*middle)
    page.content.mouse.down()
    page.content.mouse.move(middle[0], box["y"] + 4)
    until(lambda: page.eye()[2] < start[2] - 0.05)
    page.content.mouse.up()
    page.press("Layers")
    panel = page.content.locator("#panel").bounding_box()
    assert panel["x"] >= 0 and panel["x"] + panel["width"] <= 390
    page.picture("phone")


def test_a_slow_download_tells_how_far_it_is(page: Opened, web_site: Path) -> None:
    whole = json.loads((web_site / "scene" / "manifest.json").read_text())
    slow = {**whole, "formats": {"splat": "held/balls.splat"}, "best_format": "splat"}
    (web_site / "scene" / "slow.json").write_text(json.dumps(slow))
    content = page.browser.new_page(viewport=SIZE)
    content.set_default_timeout(1000 * LIMIT_S)
    content.goto(f"{page.address}/page/index.html?manifest=../scene/slow.json")
    content.get_by_text("Loading splats 50 %").wait_for()
    page.release.set()
    content.wait_for_function("maquette.ready")
    assert not content.locator("#loading").is_visible()
    content.close()


SENTENCES = {
    "nothing.json": "nothing.json is not there (404)",
    "photo.png": "photo.png is not JSON",
    "refused/manifest.json": "The server refuses to give manifest.json (403)",
    "refused/manifest.json?X-Amz-Expires=60": "The link to manifest.json has expired",
    "broken/manifest.json": "The download of manifest.json broke off",
    "newer.json": "newer.json is of version 7; this page reads versions up to 1",
    "empty.json": "empty.json names nothing to show",
    "gone.json": "gone.sog is not there (404)",
    "half.json": "The download of balls.ply broke off",
    "damaged.json": "photo.png can not be shown: it is no .sog file",
    "huge.json": "balls.sog (50000 MB) is larger than the memory",
}


def test_each_kind_of_bad_input_is_a_sentence_with_what_to_do(page: Opened, web_site: Path) -> None:
    files = {
        "newer": {"schema_version": 7}, "empty": {"schema_version": 1},
        "gone": {"formats": {"sog": "gone.sog"}}, "half": {"formats": {"ply": "broken/balls.ply"}},
        "damaged": {"formats": {"sog": "photo.png"}},
        "huge": {"formats": {"sog": "balls.sog"}, "size_bytes": {"sog": 50_000_000_000}},
    }  # fmt: skip
    for name, content in files.items():
        (web_site / "scene" / f"{name}.json").write_text(json.dumps(content))
    for name, sentence in SENTENCES.items():
        page.open(f"?manifest=../scene/{name.replace('?', '%3F')}")
        problem = page.content.get_by_role("alert")
        assert sentence in problem.locator("h2").inner_text()
        assert len(problem.locator("p").inner_text()) > 20


def test_a_bucket_without_cors_and_a_browser_without_webgl2_are_told(
    page: Opened, web_site: Path
) -> None:
    with web_scene.served(web_site) as (elsewhere, _):
        page.open(f"?manifest={elsewhere}/scene/manifest.json")
        said = page.content.get_by_role("alert").inner_text()
        assert f"{urlsplit(elsewhere).netloc} does not hand manifest.json" in said
        assert "CORS" in said
    content = page.browser.new_page()
    content.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    content.goto(f"{page.address}/page/index.html?manifest=../scene/manifest.json")
    content.get_by_text("This browser has no WebGL2").wait_for()
    content.close()
