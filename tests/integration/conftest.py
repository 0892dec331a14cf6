"""Fixtures of the integration tests."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import sparse_models
from browsing import BOX, CENTER, CHROMIUM, LIMIT_S, SIZE, Window
from emulated import Emulated, emulator
from http_proxy import HttpProxy, behind, use
from maquette.pipelines import registry
from maquette.runners.ovh import tokens
from maquette.scene.region import Region
from maquette.scene.workspace import open_workspace
from maquette.storage import etags
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore
from s3_server import place_in, push, write_scene

if TYPE_CHECKING:
    from web_window import Opened

TOY = Path(__file__).resolve().parents[1] / "toy"


def pytest_configure(config: pytest.Config) -> None:
    told = "in which tier the test runs also with the S3 server that is in a container"
    config.addinivalue_line("markers", f"other_server(tier): {told}")
    told = "the test runs also with the server behind a proxy, and so with the other ObjectStore"
    config.addinivalue_line("markers", f"behind_proxy: {told}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    definition = metafunc.definition
    if "bucket" not in metafunc.fixturenames:
        return
    mark = definition.get_closest_marker("other_server")
    servers = [pytest.param("server", id="process")]
    if mark:
        tiers = [pytest.mark.docker, *([pytest.mark.soak] if mark.args[0] == "soak" else [])]
        servers.append(pytest.param("container_endpoint", marks=tiers, id="container"))
    if definition.get_closest_marker("behind_proxy"):
        servers.append(pytest.param("endpoint_behind_proxy", id="proxy"))
    if len(servers) > 1:
        metafunc.parametrize("bucket", servers, indirect=True)


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> ObjectStore:
    """A place of this test's own; marks ask for one in other servers too."""
    server = request.getfixturevalue(getattr(request, "param", "server"))
    endpoint = server if isinstance(server, str) else server.location.endpoint
    return place_in(endpoint, f"of-{abs(hash(request.node.nodeid))}")


@pytest.fixture
def endpoint_behind_proxy(
    server: Running, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The endpoint of the server that all share, for a person whose way there is a proxy."""
    use(proxy, monkeypatch)
    return behind(server.location.endpoint)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return tmp_path / "scenes" / "thing"


@pytest.fixture
def stored(scene: Path, bucket: ObjectStore) -> ObjectStore:
    """A place that holds a small scene."""
    write_scene(scene, {"transforms.json": b"{}", "images/1.jpg": b"picture"})
    push(scene, bucket)
    return bucket


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go in parts of a sixty-fourth of their size: a large one is soon there."""
    monkeypatch.setattr(etags, "PART_BYTES", etags.PART_BYTES // 64)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the toy's pipeline, which is known as if installed, in this process too."""
    known = (registry.names, registry.get_pipeline, registry._installed)
    monkeypatch.syspath_prepend(TOY)
    monkeypatch.setenv("PYTHONPATH", str(TOY), prepend=os.pathsep)
    for each in known:
        each.cache_clear()
    yield TOY
    for each in known:
        each.cache_clear()


@pytest.fixture
def own_service(
    server: Running, person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulated]:
    """An emulator that knows the jobs of one test only."""
    with emulator(tmp_path / "emulator", server) as running:
        monkeypatch.setenv(tokens.VARIABLE, running.running.token)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    needed = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with needed.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
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
    pytest.importorskip("viser", reason="pip install -e 'python[view]'")
    from maquette.viewer import serving
    from maquette.viewer.adjust_page import AdjustPage

    servers, contents = [], []

    def open_page() -> Window:
        pages = []
        server, proxy = serving.start(
            lambda server: pages.append(AdjustPage(server, open_workspace(workspace))),
            "127.0.0.1:0",
        )
        servers.append(server)
        content = browser.new_page(viewport=SIZE)
        content.set_default_timeout(1000 * LIMIT_S)
        contents.append(content)
        content.goto(proxy.url)
        content.get_by_text("points inside").wait_for()
        return Window(browser, content, pages[0], proxy)

    yield open_page
    for content in contents:
        content.close()  # each one keeps drawing
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def web_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page, and the scene of `web_scene` beside it."""
    import web_scene
    from web_window import built

    folder = tmp_path_factory.mktemp("site")
    (folder / "page").symlink_to(built())
    (folder / "scene").mkdir()
    web_scene.write(folder / "scene")
    return folder


@pytest.fixture
def page(browser: object, web_site: Path) -> Iterator[Opened]:
    """A window that a test opens on that site."""
    import web_scene
    from web_window import Opened

    with web_scene.served(web_site) as (address, release):
        opened = Opened(browser, address, release)
        yield opened
        if opened.content:
            opened.content.close()


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict]]]:
    """A webhook's address, and the messages it took."""
    taken: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/services/secret-part", taken
    server.shutdown()
    server.server_close()
