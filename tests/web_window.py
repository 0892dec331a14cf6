"""A browser window on the built web page, with what the page knows of itself."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import web_scene
from browsing import LIMIT_S, SHOTS, SIZE
from maquette.errors import ConfigError
from maquette.viewer import web_build
from turns import made_once

NEAR = 12  # of 255
_AXES = (web_scene.RIGHT, web_scene.UP, web_scene.BACK)


def built() -> Path:
    """The built page; it is fetched and built where it is not there."""
    try:
        made_once("web_page", lambda folder: web_build.build())
        return web_build.build()
    except ConfigError as error:
        if "fetching" in error.what or "neither is here" in error.what:
            pytest.skip(f"{error.what}: {error.hint}")
        raise


@dataclass
class Opened:
    """A window on the page."""

    browser: object
    address: str
    release: threading.Event
    content: object = None
    asked: list[str] = field(default_factory=list)

    def open(
        self, query: str = "?manifest=../scene/manifest.json", size: object = SIZE,
        scale: float = 1, script: str = "",
    ) -> Opened:  # fmt: skip
        """Load the page anew and wait until it shows the scene, or a sentence.

        Args:
            scale: Device pixels a CSS pixel; as `size` and `script`, of the first call.
            script: What runs before the page's own scripts.
        """
        if not self.content:
            self.content = self.browser.new_page(
                viewport=size, color_scheme="dark", has_touch=True, device_scale_factor=scale
            )
            self.content.set_default_timeout(1000 * LIMIT_S)
            self.content.on("request", lambda request: self.asked.append(request.url))
            if script:
                self.content.add_init_script(script)
        self.content.goto("about:blank")  # an address that differs in its hash loads nothing
        self.asked.clear()
        self.content.goto(f"{self.address}/page/index.html{query}")
        self.content.wait_for_function("maquette.ready || maquette.failed")
        return self

    def run(self, code: str) -> object:
        """Evaluate code in which `viewer` is the page's."""
        names = "const {viewer, tools} = maquette;"
        return self.content.evaluate(f"(async () => {{{names} {code}}})()")

    def press(self, label: str) -> None:
        self.content.get_by_role("button", name=label, exact=True).click()

    def pixel_of(self, point: np.ndarray) -> np.ndarray:
        """Where a point of the scene is drawn."""
        shown = f"viewer.stage.project(viewer.frame.shown({np.asarray(point).tolist()}))"
        return np.array(self.run(f"const at = {shown}; return [at.x, at.y]"))

    def picture(self, name: str = "") -> np.ndarray:
        """The canvas after its next frame."""
        path = f"{SHOTS}/web_{name}.png" if SHOTS and name else None
        pixels = self.content.screenshot(path=path)
        with Image.open(io.BytesIO(pixels)) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def shows(self, point: np.ndarray, color: tuple[int, int, int], near: int = NEAR) -> bool:
        x, y = self.pixel_of(point).round().astype(int)
        return bool(np.abs(self.picture()[y, x] - color).max() <= near)

    def eye(self) -> np.ndarray:
        """Where the camera is, along right, up and back."""
        position = self.run("return viewer.frame.stored(viewer.viewpoint.position)")
        return np.array([np.dot(position, axis) for axis in _AXES])
