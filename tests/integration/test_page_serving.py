"""How pages are served: to whom, and the page of results."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browsing import CENTER, LIMIT_S, SIZE, Window, in_browser, until
from maquette.scene.workspace import open_workspace

pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.viewer import serving
from maquette.viewer.adjust_page import AdjustPage
from maquette.viewer.serving import Address
from maquette.viewer.view_page import ViewPage

pytestmark = in_browser


def fetch(url: str, **fields: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=10) as got:
            return int(got.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_this_machine_by_name_and_only_our_own_page(opened: Callable[[], Window]) -> None:
    window = opened()
    assert fetch(window.proxy.url) == 200
    assert fetch(window.proxy.url, Host="evil.example") == 403
    assert fetch(window.proxy.url, Origin="http://evil.example") == 403


def test_listening_elsewhere_wants_the_token(browser: object, workspace: Path) -> None:
    server, proxy = serving.start(
        lambda server: AdjustPage(server, open_workspace(workspace)), "0.0.0.0:0"
    )
    try:
        port = proxy.address.port
        assert proxy.token and proxy.token in proxy.url
        assert fetch(f"http://127.0.0.1:{port}/") == 403
        assert fetch(f"http://127.0.0.1:{port}/?token=wrong") == 403
        stranger = browser.new_page()
        stranger.goto(f"http://127.0.0.1:{port}/")
        assert "token" in stranger.content()
        guest = browser.new_context().new_page()
        guest.set_default_timeout(1000 * LIMIT_S)
        guest.goto(f"http://127.0.0.1:{port}/?token={proxy.token}")
        guest.get_by_text("points inside").wait_for()
        assert proxy.token not in guest.url
    finally:
        server.stop()


def test_view_follows_runs_and_previews_and_shows_the_mesh(
    browser: object, workspace: Path
) -> None:
    import trimesh

    scene = open_workspace(workspace).scene.of("neuralangelo")
    scene.results.mkdir(parents=True)
    ball = trimesh.creation.icosphere(radius=0.6)
    ball.apply_translation(CENTER)
    ball.visual.vertex_colors = np.full((len(ball.vertices), 4), (220, 40, 40, 255), np.uint8)
    ball.export(scene.results / "owlet.ply")
    previews = scene.run("first") / "previews"
    previews.mkdir(parents=True)
    Image.new("RGB", (90, 30), "green").save(previews / "iteration_000000250.png")
    pages = []
    server, proxy = serving.start(lambda s: pages.append(ViewPage(s, scene)), "127.0.0.1:0")
    try:
        content = browser.new_page(viewport=SIZE)
        content.set_default_timeout(1000 * LIMIT_S)
        content.goto(proxy.url)
        content.get_by_text("iteration 250").wait_for()
        Image.new("RGB", (90, 30), "blue").save(previews / "iteration_000000500.png")
        (scene.run("first") / "metrics.jsonl").write_text('{"iteration": 500, "psnr": 21.5}\n{"ha')
        pages[0].refresh()
        content.get_by_text("iteration 500: photo").wait_for()
        content.get_by_text("psnr 21.5").wait_for()
        window = Window(browser, content, pages[0], proxy)

        def is_red() -> bool:
            pixels = window.shot("view").astype(int)
            red = (pixels[..., 0] > 90) & (pixels[..., 0] > 2 * pixels[..., 1])
            return bool(red[:, :600].sum() > 3000)

        until(is_red)
        with open(scene.results / "huge.ply", "wb") as file:
            file.truncate(10**9)
        pages[0].refresh()
        pages[0].mesh.value = "huge.ply"
        pages[0].refresh()
        content.get_by_text("1,000 MB, too much for a browser").wait_for()
        with content.expect_download() as download:
            window.click("Screenshot")
        with Image.open(download.value.path()) as picture:
            assert picture.size[0] > 300
    finally:
        server.stop()


def test_addresses() -> None:
    assert Address.parse("8081") == Address("127.0.0.1", 8081)
    assert Address.parse("[::1]:80").host == "::1"
    assert not Address.parse("0.0.0.0:8080").is_loopback
