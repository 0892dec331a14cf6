"""How the web page draws: solid surfaces, sizes of the picture, and no more frames than needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import web_scene
from browsing import in_browser, until
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.rasteriser import render_reference
from web_window import Opened

pytestmark = in_browser
GREEN = np.array([40, 190, 60])
DISTANCE, SIDE_PX, FOV_DEGREES = 4.0, 320, 45.0
AT_REST = "maquette.ready && !maquette.viewer.stage.isDrawing"


def sheet(along: int, size: float, opacity: float, layers: int) -> Gaussians:
    """Layers of green splats in a square; `size` is a standard deviation, in distances between."""
    line, step = np.linspace(-1, 1, along, retstep=True)
    right, down = (values.ravel() for values in np.meshgrid(line, line))
    means = [
        np.stack([right + 0.4 * n * step, down + 0.6 * n * step, np.full(along**2, 0.002 * n)], 1)
        for n in range(layers)
    ]
    count = layers * along**2
    scales = torch.tensor([[size * step, size * step, 1e-4]], dtype=torch.float32)
    return Gaussians(
        means=torch.tensor(np.concatenate(means), dtype=torch.float32),
        log_scales=torch.log(scales).repeat(count, 1),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        opacity_logits=torch.full((count,), float(np.log(opacity / (1 - opacity)))),
        sh=torch.tensor((GREEN / 255 - 0.5) / SH_C0, dtype=torch.float32).repeat(count, 1, 1),
    )


def expected_passing(splats: Gaussians) -> float:
    """The share of the background in the middle, by our own rasteriser."""
    focal = SIDE_PX / 2 / np.tan(np.radians(FOV_DEGREES / 2))
    middle = 40  # pixels are enough
    away = torch.tensor([0.0, 0.0, DISTANCE])
    camera = Camera(torch.eye(3), away, (focal, focal), (middle / 2,) * 2, middle, middle)
    return float(render_reference(splats, camera).passing.mean())


def passing(page: Opened) -> float:
    """The share of the background in the middle of the page: before white, less before black."""
    pictures = []
    for background in ("#ffffff", "#000000"):
        page.run(f"viewer.stage.background = '{background}'; await viewer.stage.drawn()")
        page.content.wait_for_function(AT_REST)
        middle = page.picture()[SIDE_PX // 2 - 20 :, SIDE_PX // 2 - 20 :]
        pictures.append(middle[:40, :40].astype(float))
    return float((pictures[0] - pictures[1]).mean() / 255)


@pytest.mark.parametrize(
    ("name", "parts", "most"),
    [
        ("one thin layer", (16, 0.5, 0.99, 1), 0.2),
        ("three layers", (16, 0.6, 0.9, 3), 0.01),
        ("narrow", (90, 0.4, 0.9, 2), 0.5),  # so that the factor of antialiasing counts
    ],
)
def test_what_passes_a_surface_is_what_training_saw(
    page: Opened, web_site: Path, name: str, parts: tuple[int, float, float, int], most: float
) -> None:
    splats = sheet(*parts)
    write_sog(web_site / "scene" / "sheet.sog", splats)
    view = {"position": [0, 0, -DISTANCE], "look_at": [0, 0, 0], "fov_degrees": FOV_DEGREES}
    told = {"formats": {"sog": "sheet.sog"}, "start_view": view}
    (web_site / "scene" / "sheet.json").write_text(json.dumps(told))
    page.open("?manifest=../scene/sheet.json", size={"width": SIDE_PX, "height": SIDE_PX})
    page.content.add_style_tag(content="body > :not(canvas) { display: none !important }")
    expected = expected_passing(splats)
    assert expected < most
    assert passing(page) == pytest.approx(expected, abs=0.025)


def test_quality_sets_the_pixels_and_the_budget_of_splats(page: Opened) -> None:
    page.open("?manifest=../scene/sog.json", scale=3)
    seen = {}
    for quality in ("low", "medium", "high"):
        page.run(f"tools.settings.set('quality', '{quality}')")
        page.run("await viewer.stage.drawn()")
        width = page.run("return viewer.stage.canvas.width / viewer.stage.canvas.clientWidth")
        seen[quality] = width, page.run("return viewer.stage.app.scene.gsplat.splatBudget")
    assert [width for width, _ in seen.values()] == pytest.approx([0.75, 1, 2], abs=0.01)
    assert seen["low"][1] < seen["medium"][1] < seen["high"][1]


@pytest.mark.parametrize(
    ("cores", "side", "quality"), [(8, 1000, "high"), (2, 1000, "medium"), (8, 390, "medium")]
)
def test_a_device_begins_with_the_quality_of_its_kind(
    page: Opened, cores: int, side: int, quality: str
) -> None:
    told = (
        f"Object.defineProperty(navigator, 'hardwareConcurrency', {{get: () => {cores}}});"
        f"for (const name of ['width', 'height'])"
        f" Object.defineProperty(screen, name, {{get: () => {side}}});"
    )
    page.open("?manifest=../scene/meshes.json", script=told)
    assert page.run("return tools.settings.values.quality") == quality


def test_a_slow_device_draws_less_while_it_moves_and_all_of_it_at_rest(page: Opened) -> None:
    page.open("?manifest=../scene/meshes.json")
    page.content.wait_for_function(AT_REST)  # a frame on its way would tell how slow it was
    moving = (
        "const {pace, canvas, app} = viewer.stage; let width = 0; pace.isSlow = true;"
        "pace.moved = () => (pace.movedMs = Infinity);"  # no clock says that it has come to rest
        "app.once('postrender', () => (width = canvas.width));"
        "viewer.viewpoint.turn(5, 0); await viewer.stage.drawn();"
        "delete pace.moved; pace.moved(); return width"
    )
    assert page.run(moving) == 500
    until(lambda: page.run("return viewer.stage.canvas.width") == 1000)
    page.content.wait_for_function(AT_REST)
    for where, color in web_scene.BALLS.values():
        assert page.shows(web_scene.place(*where), color)


def test_a_page_at_rest_draws_nothing(page: Opened) -> None:
    page.open("?manifest=../scene/sog.json")
    page.content.wait_for_function(AT_REST)
    drawn = page.run(
        "let frames = 0; viewer.stage.app.on('postrender', () => (frames += 1));"
        "for (let tick = 0; tick < 20; tick += 1) await new Promise(requestAnimationFrame);"
        "return frames"
    )
    assert drawn == 0
