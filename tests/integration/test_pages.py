"""The pages in a real browser: Chromium without a screen, driven by Playwright."""

from __future__ import annotations

import io
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sparse_models
from maquette.scene import transforms
from maquette.scene.region import Region
from maquette.scene.workspace import open_workspace
from waiting import wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
viser = pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.viewer import serving  # noqa: E402
from maquette.viewer.adjust_page import AdjustPage  # noqa: E402
from maquette.viewer.gate import Address, Gate  # noqa: E402
from maquette.viewer.view_page import ViewPage  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SHOTS = os.environ.get("MAQUETTE_SHOTS", "")  # a folder to keep the screenshots in
SIZE = {"width": 1000, "height": 640}
LIMIT_S = 150.0  # WebGL in software, on a machine that may be busy
CENTER = np.array([3.0, -2.0, 5.0])
BOX = [[2, 4], [-3, -1], [4, 6]]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@dataclass
class Window:
    """A browser window on a page, and the page's own objects."""

    browser: object
    content: object
    page: object
    gate: Gate

    def click(self, label: str) -> None:
        self.content.get_by_role("button", name=label, exact=True).click()

    def shot(self, name: str) -> np.ndarray:
        pixels = self.content.screenshot(path=f"{SHOTS}/{name}.png" if SHOTS else None)
        with Image.open(io.BytesIO(pixels)) as image:
            return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        arguments += ["--ignore-gpu-blocklist"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    points = np.concatenate(
        [sparse_models.ball(1500, CENTER, 0.6), sparse_models.ball(500, CENTER, 9.0, 1)]
    )
    sketch = sparse_models.around(CENTER, 4.0, 8, points)
    root = sparse_models.write_workspace(tmp_path / "owlet", sketch)
    open_workspace(root).save(Region.around(CENTER, 1.0, BOX))
    return root


@pytest.fixture
def opened(browser: object, workspace: Path) -> Iterator[Callable[[], Window]]:
    servers, contents = [], []

    def open_page() -> Window:
        pages = []
        server, gate = serving.start(
            lambda server: pages.append(AdjustPage(server, open_workspace(workspace))),
            "127.0.0.1:0",
        )
        servers.append(server)
        content = browser.new_page(viewport=SIZE)
        content.set_default_timeout(1000 * LIMIT_S)
        contents.append(content)
        content.goto(gate.url)
        content.get_by_text("points inside").wait_for()
        return Window(browser, content, pages[0], gate)

    yield open_page
    for content in contents:
        content.close()  # each one keeps drawing
    for server in servers:
        server.stop()


def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    wait_for(condition, limit_s)


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


def drag_axis(window: Window, start_px: np.ndarray, towards_px: np.ndarray) -> None:
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
    high = SIZE["height"] / 2 / np.tan(client.camera.fov / 2)
    return np.array([SIZE["width"], SIZE["height"]]) / 2 + local[:2] / local[2] * high


def test_dragging_moves_the_sphere_along_an_axis(
    opened: Callable[[], Window], workspace: Path
) -> None:
    window = opened()
    until(lambda: window.page.server.get_clients())
    before = window.page.editor.region
    arrow = 0.28 * before.radius  # on the shaft of the handle, world units
    moved = []

    def drag_one() -> bool:
        """Whether an arrow followed; one may point at the viewer or lie behind another."""
        for axis, step in enumerate(np.eye(3)):
            start = pixel_of(window, CENTER + arrow * step)
            drag_axis(window, start, pixel_of(window, CENTER + (arrow + 0.5) * step))
            with suppress(AssertionError):
                until(lambda: window.page.editor.region != before, 5)
                moved.append(axis)
                return True
        return False

    until(drag_one)  # nothing can be dragged before the first frames are drawn
    after = window.page.editor.region
    shift = np.subtract(after.center, before.center)
    assert abs(shift[moved[0]]) > 0.1 and np.abs(np.delete(shift, moved[0])).max() < 1e-6
    assert (after.radius, after.box) == (before.radius, before.box)
    assert saved(workspace) == before
    window.shot("dragged")


def test_fit_to_visible_points_and_to_cameras(opened: Callable[[], Window]) -> None:
    window = opened()
    window.content.get_by_text("hide points outside").locator("xpath=../../..").locator(
        "input[type=checkbox]"
    ).check()
    until(lambda: window.page.cloud.hides_outside)
    window.click("Fit to visible points")
    until(lambda: window.page.editor.region.radius < 0.9)
    assert np.linalg.norm(np.subtract(window.page.editor.region.center, CENTER)) < 0.2
    window.click("Fit to cameras")
    until(lambda: window.page.editor.region.radius > 3)
    assert window.page.editor.region.center == pytest.approx(CENTER, abs=1e-6)


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
    window.content.get_by_text(".jpg").first.wait_for()
    window.shot("photo")


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


def fetch(url: str, **fields: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=10) as got:
            return int(got.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_this_machine_by_name_and_only_our_own_page(opened: Callable[[], Window]) -> None:
    window = opened()
    assert fetch(window.gate.url) == 200
    assert fetch(window.gate.url, Host="evil.example") == 403
    assert fetch(window.gate.url, Origin="http://evil.example") == 403


def test_listening_elsewhere_wants_the_token(browser: object, workspace: Path) -> None:
    server, gate = serving.start(
        lambda server: AdjustPage(server, open_workspace(workspace)), "0.0.0.0:0"
    )
    try:
        port = gate.address.port
        assert gate.token and gate.token in gate.url
        assert fetch(f"http://127.0.0.1:{port}/") == 403
        assert fetch(f"http://127.0.0.1:{port}/?token=wrong") == 403
        stranger = browser.new_page()
        stranger.goto(f"http://127.0.0.1:{port}/")
        assert "token" in stranger.content()
        guest = browser.new_context().new_page()
        guest.set_default_timeout(1000 * LIMIT_S)
        guest.goto(f"http://127.0.0.1:{port}/?token={gate.token}")
        guest.get_by_text("points inside").wait_for()
        assert gate.token not in guest.url
    finally:
        server.stop()


def test_view_follows_runs_and_previews_and_shows_the_mesh(
    browser: object, workspace: Path
) -> None:
    import trimesh

    scene = open_workspace(workspace).scene
    scene.mesh.mkdir()
    ball = trimesh.creation.icosphere(radius=0.6)
    ball.apply_translation(CENTER)
    ball.visual.vertex_colors = np.full((len(ball.vertices), 4), (220, 40, 40, 255), np.uint8)
    ball.export(scene.mesh / "owlet.ply")
    previews = scene.run("first") / "previews"
    previews.mkdir(parents=True)
    Image.new("RGB", (90, 30), "green").save(previews / "iteration_000000250.png")
    pages = []
    server, gate = serving.start(lambda s: pages.append(ViewPage(s, scene)), "127.0.0.1:0")
    try:
        content = browser.new_page(viewport=SIZE)
        content.set_default_timeout(1000 * LIMIT_S)
        content.goto(gate.url)
        content.get_by_text("iteration 250").wait_for()
        Image.new("RGB", (90, 30), "blue").save(previews / "iteration_000000500.png")
        (scene.run("first") / "metrics.jsonl").write_text('{"iteration": 500, "psnr": 21.5}\n{"ha')
        pages[0].refresh()
        content.get_by_text("iteration 500: photo").wait_for()
        content.get_by_text("psnr 21.5").wait_for()
        window = Window(browser, content, pages[0], gate)

        def is_red() -> bool:
            pixels = window.shot("view").astype(int)
            red = (pixels[..., 0] > 90) & (pixels[..., 0] > 2 * pixels[..., 1])
            return bool(red[:, :600].sum() > 3000)

        until(is_red)
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
