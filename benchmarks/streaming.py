"""What of a scene of millions of splats does the page fetch before it shows something?

Makes a bumpy terrain of --side² splats without colour by direction, writes it as streamed SOG and
as one `.sog`, and opens the first in headless Chromium, WebGL in software by SwiftShader, looking
along the ground from one edge. `first picture` is when the lower half of it shows ground; `settled`
when no file is on its way any more; `turned` after the camera was taken to the other edge. The page
draws at most --budget splats, so that a processor can. `cpu` are the seconds that all cores worked.

    .venv/bin/python benchmarks/streaming.py [--json] [--side 1732] [--budget 300000] [--shots DIR]
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import streamed_scene  # noqa: E402
from maquette.recon.splats.files.sog import write_sog  # noqa: E402
from maquette.recon.splats.files.streamed_sog import Division, write_streamed_sog  # noqa: E402
from maquette.viewer import web_build  # noqa: E402
from waiting import wait_for  # noqa: E402

LIMIT_S = 240.0
SIZE = {"width": 640, "height": 400}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", type=int, default=1732)
    parser.add_argument("--budget", type=int, default=300_000)
    parser.add_argument("--shots", type=Path, help="keep the pictures in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), arguments.side, arguments.budget, arguments.shots)
    print_rows(rows, arguments.json)


def measure(folder: Path, side: int, budget: int, shots: Path | None) -> list[Row]:
    case, rows = f"{side * side:,} splats", []

    def told(tool: str, metric: str, value: float, unit: str) -> None:
        rows.append(Row(case, tool, metric, value, unit))

    splats = streamed_scene.terrain(side)
    taken_s = cpu_s(partial(write_streamed_sog, folder / "terrain", splats))
    told("streamed", "writing", taken_s, "s cpu")
    told("one file", "writing", cpu_s(partial(write_sog, folder / "one.sog", splats)), "s cpu")
    streamed = [path for path in (folder / "terrain").rglob("*") if path.is_file()]
    told("streamed", "files", len(streamed), "")
    told("streamed", "size", sum(path.stat().st_size for path in streamed) / 1e6, "MB")
    told("one file", "size", (folder / "one.sog").stat().st_size / 1e6, "MB")
    streamed_scene.write_manifest(folder, side)
    (folder / "page").symlink_to(web_build.build())
    watch(folder, budget, shots, told)
    return rows


def cpu_s(work: Callable[[], object]) -> float:
    """Seconds that all cores of this process worked for it."""
    started = time.process_time()
    work()
    return time.process_time() - started


def watch(
    folder: Path, budget: int, shots: Path | None, told: Callable[[str, str, float, str], None]
) -> None:
    """Open the page and tell what has been fetched at each point."""
    from playwright.sync_api import sync_playwright

    with streamed_scene.served(folder) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(1000 * LIMIT_S)
        started = time.monotonic()
        page.goto(f"{server.address}?manifest=../manifest.json")
        page.wait_for_function("maquette.ready || maquette.failed")
        streamed_scene.limit_splats(page, budget)

        def tell(moment: str) -> None:
            fetched = sum(len(server.files(level)) for level in range(Division.levels))
            told("streamed", f"{moment}: wall", time.monotonic() - started, "s")
            told("streamed", f"{moment}: files", fetched, "")
            told("streamed", f"{moment}: fetched", server.sent_bytes / 1e6, "MB")
            told("streamed", f"{moment}: drawn", streamed_scene.shown_splats(page), "splats")
            if shots:
                page.screenshot(path=shots / f"streaming_{moment.replace(' ', '_')}.png")

        wait_for(lambda: has_ground(page), LIMIT_S)
        tell("first picture")
        wait_for(lambda: page.evaluate("!maquette.viewer.stage.isStreaming"), LIMIT_S)
        tell("settled")
        before = server.sent_bytes
        page.evaluate(f"({LOOK_BACK})(maquette.viewer)")
        wait_for(lambda: server.sent_bytes > before, LIMIT_S)
        wait_for(lambda: page.evaluate("!maquette.viewer.stage.isStreaming"), LIMIT_S)
        tell("turned")
        browser.close()


LOOK_BACK = """(viewer) => {
    const at = (x, y, z) => viewer.frame.shown([x, y, z]);
    viewer.viewpoint.look(at(0, -4, 22), at(0, 0, 12), { isAtOnce: true });
    viewer.stage.wake();
}"""


def has_ground(page: Any) -> bool:
    """Whether nine tenths of the lower half show something."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    behind = [int(streamed_scene.BEHIND[at : at + 2], 16) for at in (1, 3, 5)]
    lower = shown[shown.shape[0] // 2 :]
    return bool((np.abs(lower - behind).max(axis=2) > 40).mean() > 0.9)


if __name__ == "__main__":
    main()
