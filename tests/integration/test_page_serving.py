"""How pages are served: to whom, and the page of results."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from browsing import CENTER, LIMIT_S, SIZE, Window, in_browser, until
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mvs.colmap_files import write_fused
from maquette.recon.mvs.fusion import Points
from maquette.recon.report_page.writing import write_page
from maquette.recon.texture.gltf import write_textured_glb
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.scene import outputs, stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.scene.workspace import open_workspace

pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.viewer import serving
from maquette.viewer.adjust_page import AdjustPage
from maquette.viewer.serving import Address
from maquette.viewer.view_page import ViewPage

pytestmark = in_browser


BLUE, GREEN = (40, 60, 200), (30, 170, 60)


def write_textured(path: Path, ball: trimesh.Trimesh, color: tuple[int, int, int]) -> None:
    """A mesh whose texture is one colour."""
    mesh = TriangleMesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32))
    places = np.full((len(mesh.vertices), 2), 0.5, np.float32)
    page = np.full((8, 8, 3), color, np.uint8)
    no_page = np.zeros(len(mesh.faces), np.int32)
    textured = TexturedMesh(mesh, places, mesh.faces, no_page, [page])
    write_textured_glb(path, textured, np.array([0.0, -1.0, 0.0]), "blue")


def write_cloud(scene: Scene, points: np.ndarray, color: tuple[int, int, int]) -> None:
    """Fused points of a stage that tells of them."""
    path = scene.dense("experiments") / "fused.ply"
    path.parent.mkdir(parents=True)
    rows = len(points)
    place, colors = points.astype(np.float32), np.full((rows, 3), color, np.uint8)
    write_fused(path, [Points(place, 0 * place, colors, np.zeros((rows, 1), np.int32))])
    kinds = {scene.relative(path): outputs.POINTS}
    record = StageRecord("fuse", "process", "k", {}, {}, {}, "2026", 1.0, kinds=kinds)
    stage_records.write(scene, scene.pipeline, record)


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
        write_textured(scene.results / "blue.glb", ball, BLUE)
        pages[0].refresh()
        pages[0].mesh.value = "blue.glb"
        pages[0].refresh()

        def shows(color: tuple[int, int, int], least: int) -> bool:
            """Whether so many pixels have a colour; a texture's comes as it is in the file."""
            off = window.shot("view")[:, :600].astype(int) - color
            return bool((np.abs(off).max(axis=-1) < 35).sum() > least)

        until(lambda: shows(BLUE, 3000))
        away = np.random.default_rng(0).normal(size=(20_000, 3))
        away *= 0.8 / np.linalg.norm(away, axis=1, keepdims=True)  # all around the mesh
        write_cloud(scene, CENTER + away, GREEN)
        pages[0].refresh()
        assert "fused.ply" in pages[0].points.options
        pages[0].points.value = "fused.ply"
        until(lambda: shows(GREEN, 1000))
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


def test_the_report_opens_from_a_disk_fits_a_phone_and_prints(
    browser: object, workspace: Path
) -> None:
    path = write_page(open_workspace(workspace).scene)
    content = browser.new_page(viewport={"width": 390, "height": 800})
    asked, complaints = [], []
    content.on("request", lambda request: asked.append(request.url))
    content.on("console", lambda message: complaints.append(message.text))
    content.goto(path.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert content.get_by_role("heading", name="owlet").is_visible()
    assert content.evaluate("document.documentElement.scrollWidth") <= 390
    assert content.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    drawn = content.locator("svg image").first.bounding_box()
    assert drawn["width"] > 300 and not complaints
    assert content.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
    content.close()


def test_addresses() -> None:
    assert Address.parse("8081") == Address("127.0.0.1", 8081)
    assert Address.parse("[::1]:80").host == "::1"
    assert not Address.parse("0.0.0.0:8080").is_loopback
