"""How long until a scene of 1,000 cameras and a million points can be adjusted?

Makes that scene, then times the reader, opening, Blender in a window (start to the points drawn)
and the browser (address entered to points, cameras, sphere and box on the screen and the panel
beside them; headless Chromium, each time a new one). Graphics are in software, in Chromium as it
does it where there is no graphics card: WebGL by SwiftShader. `bare page` is the same for a page
of the same viewer with 5,000 points and nothing else: what the browser takes anyway. `load` is
that of the machine after the last row. Each figure is the median of --repeats; `cpu` are the
seconds that all cores worked for it, which other programs on the machine change less than `wall`.

    .venv/bin/python benchmarks/adjust.py [--json] [--cameras 1000] [--points 1000000]
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF

import numpy as np
import psutil
import viser
from numpy.typing import NDArray
from PIL import Image

from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import sparse_models  # noqa: E402
from maquette.scene import colmap_model  # noqa: E402
from maquette.scene.workspace import open_workspace  # noqa: E402
from maquette.viewer import serving  # noqa: E402
from maquette.viewer.adjust_page import AdjustPage  # noqa: E402
from maquette.viewer.blender import START  # noqa: E402

_DRAW_AND_QUIT = """
import bpy
def draw():
    bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
    bpy.ops.wm.quit_blender()
bpy.app.timers.register(draw)
"""
_SCREEN = "-screen 0 1280x800x24"
_SIZE = {"width": 1280, "height": 800}
_BROWSER = ["--no-sandbox", "--enable-unsafe-swiftshader"]
_DRAWN = [(0, 139, 55), (0, 100, 202), (208, 60, 14)]  # cameras, sphere and box, as on the screen
_NEAR, _SOME_PX, _MANY_PX = 12, 500, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    case = f"{arguments.cameras} cameras, {arguments.points} points"
    with tempfile.TemporaryDirectory() as folder:
        root = make_scene(Path(folder) / "big", arguments.cameras, arguments.points)
        works = [
            ("reader", lambda: spent(lambda: colmap_model.read(root / "sparse" / "0"))),
            ("opened", lambda: spent(lambda: open_workspace(root))),
        ]
        if shutil.which("blender") and shutil.which("xvfb-run"):
            works.append(("blender", lambda: spent(lambda: show_in_blender(root))))
        if shutil.which("chromium"):
            works.append(("bare page", lambda: open_page(make_bare_page, shows_points)))
            works.append(("browser", lambda: open_page(adjusting(root), shows_scene)))
        rows = []
        for tool, work in works:
            times = np.median([work() for _ in range(arguments.repeats)], axis=0)
            rows += [Row(case, tool, "wall", times[0], "s"), Row(case, tool, "cpu", times[1], "s")]
        rows.append(Row(case, "machine", "load", os.getloadavg()[0], ""))
    print_rows(rows, arguments.json)


def make_scene(root: Path, cameras: int, points: int) -> Path:
    center = np.array([3.0, -2.0, 5.0])
    cloud = np.concatenate(
        [sparse_models.ball(points // 2, center, 0.6), sparse_models.ball(points // 2, center, 6.0)]
    )
    return sparse_models.write_workspace(root, sparse_models.around(center, 4.0, cameras, cloud))


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of some work, its finished child processes counted in."""
    began, used = time.monotonic(), finished_cpu_s()
    work()
    return time.monotonic() - began, finished_cpu_s() - used


def finished_cpu_s() -> float:
    own, children = (resource.getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def show_in_blender(root: Path) -> None:
    argv = ["xvfb-run", "-a", "-s", _SCREEN, "blender", "--factory-startup", "--python", str(START)]
    argv += ["--python-expr", _DRAW_AND_QUIT, "--", str(root)]
    software = {**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"}
    subprocess.run(argv, check=True, capture_output=True, env=software)


def adjusting(root: Path) -> serving.Build:
    return lambda server: AdjustPage(server, open_workspace(root))


def make_bare_page(server: viser.ViserServer) -> None:
    points = sparse_models.ball(5000, np.zeros(3), 1.0).astype(np.float32)
    server.scene.add_point_cloud("/points", points, colors=(200, 0, 200), point_size=0.05)
    server.gui.add_markdown("points inside")


def open_page(
    build: serving.Build, is_open: Callable[[NDArray[np.int64]], bool]
) -> tuple[float, float]:
    """Wall and CPU seconds from the address to what there is to see, of server and browser."""
    from playwright.sync_api import sync_playwright

    server, proxy = serving.start(build, "127.0.0.1:0")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=_BROWSER
            )
            page = browser.new_page(viewport=_SIZE)
            page.set_default_timeout(300_000)
            began, used = time.monotonic(), running_cpu_s()
            page.goto(proxy.url)
            page.get_by_text("points inside").wait_for()
            while not is_open(pixels_of(page.screenshot())):
                pass
            return time.monotonic() - began, running_cpu_s() - used
    finally:
        server.stop()


def running_cpu_s() -> float:
    me = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (me, *me.children(recursive=True)))


def pixels_of(screenshot: bytes) -> NDArray[np.int64]:
    """What is left of the panel, [H, W, 3]."""
    with Image.open(io.BytesIO(screenshot)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)[:, : _SIZE["width"] * 2 // 3]


def shows_points(pixels: NDArray[np.int64]) -> bool:
    """Whether many pixels are purple; nothing but points is, not even where lines fade."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    return bool(((red > 1.5 * green) & (blue > 1.5 * green)).sum() > _MANY_PX)


def shows_scene(pixels: NDArray[np.int64]) -> bool:
    """Whether points, cameras, sphere and box are all there."""
    drawn = ((np.abs(pixels - color).max(axis=-1) < _NEAR).sum() > _SOME_PX for color in _DRAWN)
    return shows_points(pixels) and all(drawn)


if __name__ == "__main__":
    main()
