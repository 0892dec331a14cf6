"""Published scenes in a real browser: one file from the disk, and a private link into a bucket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browsing import LIMIT_S, SHOTS, in_browser
from maquette.notebook import Page
from maquette.publishing import bucket, folder
from maquette.publishing.choosing import chosen
from maquette.publishing.single_file import everything_in_one
from maquette.publishing.site import Site, compose
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.page_data.writing import write
from maquette.scene import outputs, stage_records
from maquette.scene.stage_records import StageRecord
from maquette.storage.embedded import Running
from maquette.viewer import page_data, web_page
from s3_server import place_in
from synthetic_scene import truth_mesh, write_posed_scene

PIPELINE = "photogrammetry"
GREEN = np.array([40, 180, 70])
pytestmark = [
    *in_browser,
    pytest.mark.skipif(not web_page.is_built(), reason="the page is not built: make page"),
]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A green ring."""
    scene = write_posed_scene(tmp_path / "scenes" / "ring", 6, 64, 48).of(PIPELINE)
    truth = truth_mesh(32)
    colors = np.tile((GREEN / 255).astype("f4"), (len(truth.vertices), 1))
    mesh = TriangleMesh(
        truth.vertices.astype("f4"), truth.faces.astype("i4"), colors=colors
    )  # fmt: skip
    name = f"results/{PIPELINE}/mesh.ply"
    write_ply(scene.root / name, mesh, ())
    record = StageRecord(
        "surface", "extract", "k", {}, {}, {}, "2026", 1.0, kinds={name: outputs.MESH}
    )
    stage_records.write(scene, PIPELINE, record)
    write(scene, [PIPELINE])
    told = chosen(page_data.renewed(scene), 0, best_only=False)
    return compose(scene, told, web_page.folder())


def opened(browser: object, url: str, host: str, name: str) -> np.ndarray:
    """What the page shows once it is ready; it may ask no other host, and make no error."""
    asked: list[str] = []
    failures: list[str] = []
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(url)
    page.wait_for_function("window.maquette.ready || window.maquette.failed", timeout=LIMIT_S * 1e3)
    page.wait_for_function(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    path = Path(SHOTS or ".") / f"{name}.png"
    pixels = page.screenshot(path=path if SHOTS else None)
    state = page.evaluate("[window.maquette.failed, document.title]")
    page.close()
    assert state == [False, "ring · maquette"]
    assert not failures
    own = (host, "blob:", "data:")
    assert [one for one in asked if not one.startswith(own)] == []
    import io

    with Image.open(io.BytesIO(pixels)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def green_share(picture: np.ndarray) -> float:
    """How much of the picture's middle half is green."""
    middle = picture[150:450, 200:600]
    red, green, blue = np.moveaxis(middle, -1, 0)
    return float(((green > red + 40) & (green > blue + 40)).mean())


def test_one_file_from_the_disk_shows_the_scene_framed(
    browser: object, site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "ring.html"
    path.write_bytes(everything_in_one(site))
    picture = opened(browser, path.as_uri(), "file:", "published_one_file")
    assert green_share(picture) > 0.15


def test_a_private_link_shows_the_scene_and_asks_no_other_host(
    browser: object, site: Site, server: Running
) -> None:
    place = place_in(server.location.endpoint, "ring", "shared-pages")
    made = bucket.publish(site, place, "ring", timedelta(hours=1), lambda done, total: None)
    picture = opened(browser, made.link, server.location.endpoint, "published_private")
    assert green_share(picture) > 0.15
    place.close()


def test_a_cell_of_a_notebook_shows_the_scene(browser: object, site: Site, tmp_path: Path) -> None:
    cell = Page("ring", everything_in_one(site), 400)._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><p>In [1]:</p>{cell}")
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(path.as_uri())
    frame = page.frames[1]
    frame.wait_for_function(
        "window.maquette && (maquette.ready || maquette.failed)", timeout=LIMIT_S * 1e3
    )
    assert frame.evaluate("maquette.ready")
    page.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a plain web server shows it."""
    target = tmp_path / "site"
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(target)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield target, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_folder_behind_a_plain_web_server_shows_the_scene(
    browser: object, site: Site, served: tuple[Path, str]
) -> None:
    target, url = served
    folder.write(site, target, "ring")
    assert green_share(opened(browser, url, url, "published_folder")) > 0.15
