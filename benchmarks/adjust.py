"""How long until a scene of 1,000 cameras and a million points can be adjusted?

Makes that scene, then times the reader, Blender (start to finished load, without a window) and
the browser page (command to drawn status line in headless Chromium).

    .venv/bin/python benchmarks/adjust.py [--json] [--cameras 1000] [--points 1000000]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import sparse_models  # noqa: E402
from maquette.scene import colmap_model  # noqa: E402
from maquette.scene.workspace import open_workspace  # noqa: E402

_BLENDER = """
import sys
sys.path.append({addons!r})
import bpy, maquette_region
maquette_region.register()
bpy.context.scene.maquette.folder = {scene!r}
bpy.ops.maquette.load()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1_000_000)
    arguments = parser.parse_args()
    case = f"{arguments.cameras} cameras, {arguments.points} points"
    with tempfile.TemporaryDirectory() as folder:
        root = make_scene(Path(folder) / "big", arguments.cameras, arguments.points)
        works = [
            ("reader", lambda: colmap_model.read(root / "sparse" / "0")),
            ("opened", lambda: open_workspace(root)),
        ]
        if shutil.which("blender"):
            works.append(("blender", lambda: load_in_blender(root)))
        if shutil.which("chromium"):
            works.append(("browser", lambda: open_page(root)))
        rows = [Row(case, tool, "wall", timed(work), "s") for tool, work in works]
    print_rows(rows, arguments.json)


def make_scene(root: Path, cameras: int, points: int) -> Path:
    center = np.array([3.0, -2.0, 5.0])
    cloud = np.concatenate(
        [sparse_models.ball(points // 2, center, 0.6), sparse_models.ball(points // 2, center, 6.0)]
    )
    return sparse_models.write_workspace(root, sparse_models.around(center, 4.0, cameras, cloud))


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def load_in_blender(root: Path) -> None:
    addons = str(ROOT / "blender_addons")
    script = _BLENDER.format(addons=addons, scene=str(root))
    argv = ["blender", "-b", "--python-exit-code", "1", "--python-expr", script]
    subprocess.run(argv, check=True, capture_output=True)


def open_page(root: Path) -> None:
    from playwright.sync_api import sync_playwright

    from maquette.viewer import serving
    from maquette.viewer.adjust_page import AdjustPage

    server, gate = serving.start(lambda s: AdjustPage(s, open_workspace(root)), "127.0.0.1:0")
    try:
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=arguments
            )
            page = browser.new_page()
            page.set_default_timeout(300_000)
            page.goto(gate.url)
            page.get_by_text("points inside").wait_for()
            browser.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
