"""Streamed splats in a real browser: coarse first, then what is near, and not all of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import streamed_scene
from browsing import LIMIT_S, SHOTS, in_browser, until
from maquette.recon.splats.files.streamed_sog import Division
from maquette.viewer import web_page
from streamed_scene import Served

SIDE, BUDGET = 96, 6000
DIVISION = Division(leaf=1200, file=2400, levels=2)
pytestmark = [
    *in_browser,
    pytest.mark.skipif(not web_page.is_built(), reason="the page is not built: make page"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    streamed_scene.write(tmp_path, SIDE, DIVISION)
    (tmp_path / "page").symlink_to(web_page.folder())
    with streamed_scene.served(tmp_path) as found:
        yield found


def picture(page: object, name: str = "") -> np.ndarray:
    path = Path(SHOTS) / f"streamed_{name}.png" if SHOTS and name else None
    with Image.open(io.BytesIO(page.screenshot(path=path))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def ground_share(page: object, name: str = "") -> float:
    """How much of the lower half of the picture is not background."""
    shown = picture(page, name)
    lower = shown[shown.shape[0] // 2 :]
    behind = [int(streamed_scene.BEHIND[at : at + 2], 16) for at in (1, 3, 5)]
    return float((np.abs(lower - behind).max(axis=2) > 40).mean())


def sharpness(shown: np.ndarray) -> float:
    """How much neighbouring pixels differ, of the ground that is near."""
    near = shown[120:215, 20:460].mean(axis=2)  # above the buttons
    return float(np.abs(np.diff(near, axis=1)).mean())


def test_a_coarse_picture_comes_first_and_only_what_is_near_becomes_fine(
    browser: object, server: Served
) -> None:
    page = browser.new_page(viewport={"width": 480, "height": 320})
    page.set_default_timeout(1000 * LIMIT_S)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    server.finest.clear()
    page.goto(f"{server.address}?manifest=../manifest.json")
    page.wait_for_function("maquette.ready || maquette.failed")
    until(lambda: ground_share(page) > 0.9)
    coarse = sharpness(picture(page, "coarse"))
    assert streamed_scene.shown_splats(page) == SIDE * SIDE // 4
    assert len(server.files(1)) == 1
    streamed_scene.limit_splats(page, BUDGET)
    server.finest.set()
    until(
        lambda: streamed_scene.shown_splats(page) > SIDE * SIDE // 4
    )  # nobody touches the page meanwhile
    until(lambda: sharpness(picture(page, "fine")) > 1.1 * coarse)
    assert ground_share(page) > 0.9
    assert streamed_scene.shown_splats(page) <= BUDGET
    assert 0 < len(server.files(0)) < 4
    assert not failures
    page.close()
