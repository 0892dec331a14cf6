"""A real browser on a page: Chromium without a screen, driven by Playwright."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest
from PIL import Image

from waiting import wait_for

if TYPE_CHECKING:
    from maquette.viewer.serving import AccessProxy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SHOTS = os.environ.get("MAQUETTE_SHOTS", "")  # a folder to keep the screenshots in
SIZE = {"width": 1000, "height": 640}
LIMIT_S = 120.0  # WebGL in software, on a machine that may be busy
CENTER = np.array([3.0, -2.0, 5.0])
BOX = [[2, 4], [-3, -1], [4, 6]]
T = TypeVar("T")

in_browser = [
    pytest.mark.pages,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium"),
]


@dataclass
class Window:
    """A browser window on a page, and the page's own objects."""

    browser: object
    content: object
    page: object
    proxy: AccessProxy

    def click(self, label: str) -> None:
        self.content.get_by_role("button", name=label, exact=True).click()

    def shot(self, name: str) -> np.ndarray:
        pixels = self.content.screenshot(path=f"{SHOTS}/{name}.png" if SHOTS else None)
        with Image.open(io.BytesIO(pixels)) as image:
            return np.asarray(image.convert("RGB"))


def until(condition: Callable[[], T], limit_s: float = LIMIT_S) -> T:
    return wait_for(condition, limit_s)
