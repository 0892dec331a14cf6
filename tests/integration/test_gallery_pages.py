"""`make view` in a real browser: all scenes, one scene, and a training that goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from browsing import LIMIT_S, SHOTS, SIZE, in_browser
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
