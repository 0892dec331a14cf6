"""`make view` in a real browser: all scenes, one scene, and a training that goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from browsing import LIMIT_S, SHOTS, SIZE, in_browser, until
from maquette.scene.paths import Scene
from maquette.viewer import web_page
from maquette.viewer.gallery import serving
from maquette.viewer.serving import AccessProxy
from ring_scene import write_ring

pytestmark = [
    *in_browser,
    pytest.mark.skipif(not web_page.is_built(), reason="the page is not built: make page"),
]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A ring as a mesh, and a run that has left one preview."""
    made = write_ring(tmp_path / "scenes" / "ring")
    write_preview(made, 250, "green")
    return made


def write_preview(scene: Scene, iteration: int, color: str) -> None:
    folder = scene.root / "runs" / "splat" / "first" / "previews"
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (90, 30), color).save(folder / f"iteration_{iteration:09}.png")


@pytest.fixture
def proxy(scene: Scene) -> Iterator[AccessProxy]:
    with serving.started(scene.root.parent, web_page.folder(), "127.0.0.1:0") as started:
        yield started


def shot(page: object, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_the_gallery_leads_to_a_scene_and_its_page(browser: object, proxy: AccessProxy) -> None:
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(1000 * LIMIT_S)
    page.goto(proxy.url)
    card = page.get_by_role("link", name=re.compile("ring"))
    card.wait_for()
    shot(page, "gallery")
    card.click()
    page.get_by_role("heading", name="ring", exact=True).wait_for()
    assert page.title() == "ring · maquette"
    page.get_by_role("link", name="mesh.ply").wait_for()
    frame = next(frame for frame in page.frames if "/page/" in frame.url)
    frame.wait_for_function("window.maquette && (window.maquette.ready || window.maquette.failed)")
    assert frame.evaluate("window.maquette.ready")
    shot(page, "gallery_scene")
    page.close()


def test_a_training_that_goes_on_is_followed(
    browser: object, proxy: AccessProxy, scene: Scene
) -> None:
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(1000 * LIMIT_S)
    page.goto(f"{proxy.url}scenes/ring/")
    page.get_by_text("preview at iteration 250").wait_for()
    write_preview(scene, 500, "blue")
    run = scene.root / "runs" / "splat" / "first"
    (run / "metrics.jsonl").write_text('{"iteration": 500, "psnr": 21.5}\n{"ha')
    page.get_by_text("preview at iteration 500").wait_for()
    page.get_by_text("PSNR, dB").wait_for()
    page.get_by_role("cell", name="21.5").wait_for()
    page.close()


def test_a_phone_shows_all_of_it_in_one_column(browser: object, proxy: AccessProxy) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(1000 * LIMIT_S)
    page.goto(f"{proxy.url}scenes/ring/")
    page.get_by_role("link", name="mesh.ply").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "gallery_phone")
    page.close()


def test_beyond_this_machine_the_token_is_asked(browser: object, scene: Scene) -> None:
    with serving.started(scene.root.parent, web_page.folder(), "0.0.0.0:0") as proxy:
        port = proxy.address.port
        stranger = browser.new_page()
        stranger.goto(f"http://127.0.0.1:{port}/scenes/ring/")
        assert "token" in stranger.content()
        guest = browser.new_context().new_page()
        guest.set_default_timeout(1000 * LIMIT_S)
        guest.goto(f"http://127.0.0.1:{port}/?token={proxy.token}")
        guest.get_by_role("link", name=re.compile("ring")).wait_for()
        assert proxy.token not in guest.url


def test_a_phone_behind_the_token_follows_a_training_and_keeps_a_note(
    browser: object, scene: Scene
) -> None:
    with serving.started(scene.root.parent, web_page.folder(), "0.0.0.0:0") as proxy:
        here = f"http://127.0.0.1:{proxy.address.port}"
        phone = browser.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        page = phone.new_page()
        page.set_default_timeout(1000 * LIMIT_S)
        page.goto(f"{here}/?token={proxy.token}")
        page.goto(f"{here}/scenes/ring/")
        page.get_by_text("preview at iteration 250").wait_for()
        write_preview(scene, 500, "blue")
        page.get_by_text("preview at iteration 500").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        frame = next(frame for frame in page.frames if "/page/" in frame.url)
        add_note(frame, "From the phone")
        assert until(lambda: kept_notes(scene)) == ["From the phone"]
        phone.close()


def test_a_note_is_kept_by_the_server_and_is_there_after_a_reload(
    browser: object, proxy: AccessProxy, scene: Scene
) -> None:
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(1000 * LIMIT_S)
    address = f"{proxy.url}page/index.html?manifest=/scenes/ring/manifest.json"
    page.goto(address)
    add_note(page, "The rim")
    page.get_by_text("Saved.").wait_for()
    assert kept_notes(scene) == ["The rim"]
    page.reload()
    page.get_by_role("button", name="The rim").click()
    page.get_by_role("button", name="Remove").click()
    until(lambda: kept_notes(scene) == [])
    page.close()


def add_note(page: object, title: str) -> None:
    """Set a note by a click on the surface that is nearest to the camera."""
    page.wait_for_function("window.maquette && window.maquette.ready")
    page.get_by_role("button", name="Add a note", exact=True).click()
    x, y = page.evaluate(
        """() => {
            const { stage, viewpoint } = maquette.viewer;
            const corners = stage.items.find((item) => item.kind === "mesh").triangles();
            let best = null;
            for (let at = 0; at < corners.length; at += 3) {
                const point = viewpoint.position.clone().set(...corners.slice(at, at + 3));
                const away = point.distance(viewpoint.position);
                if (!best || away < best.away) best = { away, place: stage.project(point) };
            }
            return [best.place.x, best.place.y];
        }"""
    )
    page.locator("#canvas").click(position={"x": x, "y": y})
    page.get_by_placeholder("Title").fill(title)
    page.get_by_role("button", name="Keep", exact=True).click()


def kept_notes(scene: Scene) -> list[str]:
    """Titles of the notes that lie with the scene."""
    path = scene.root / ".maquette" / "page" / "annotations.json"
    if not path.is_file():
        return []
    return [mark["title"] for mark in json.loads(path.read_text())["annotations"]]
