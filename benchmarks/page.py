"""How long until the web page shows splats, and what does the browser compute for it?

.venv/bin/python benchmarks/page.py [--json] [--runs 3] [--sog FILE ...] [--profile FOLDER]

Opens, in a new Chromium with WebGL in software, an empty page and the built page with scenes of
48,000 splats, as the sample has, and of 300,000. Seconds are counted from the start of the
navigation: of the clock, which other work of the machine lengthens, and of processors, of the
browser's whole process tree, which it hardly does. `--profile` keeps Chrome's own CPU profile of
each page's main thread.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from playwright.sync_api import sync_playwright

from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.viewer import web_build
from rows import Row, print_rows

COUNTS = (48_000, 300_000)
DEGREE = 1  # of the colours' harmonics
SIZE = {"width": 1280, "height": 720}
EMPTY = "<!doctype html><title>empty</title><script>window.maquette = {ready: true}</script>"
MARKS = ("engine", "loaded", "picture", "ready")
SETTLED = "maquette.ready && !maquette.viewer?.stage.isDrawing"
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sog", type=Path, nargs="*", default=[], help="scenes of your own")
    parser.add_argument("--profile", type=Path, help="a folder for Chrome's profiles")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address:
        cases = write_scenes(Path(folder), arguments.sog)
        measured: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
        for number in range(arguments.runs):
            for case, path in cases.items():  # in turn, so that noise meets all alike
                kept = arguments.profile if number == 0 else None
                measured[case].append(opened(f"{address}/{path}", case, kept))
    rows = [row for case, runs in measured.items() for row in summary(case, runs)]
    print_rows(rows, arguments.json)


def write_scenes(folder: Path, own: list[Path]) -> dict[str, str]:
    """Write the page and what it is to show; returns the address of each case."""
    shutil.copytree(web_build.build(), folder / "page")
    (folder / "empty.html").write_text(EMPTY)
    for count in COUNTS:
        write_sog(folder / f"{count}.sog", surface(count))
    for path in own:
        shutil.copy(path, folder / path.name)
    names = [f"{count}.sog" for count in COUNTS] + [path.name for path in own]
    for name in names:
        view = {"position": [0.0, -1.0, -3.2], "look_at": [0.0, 0.0, 0.0], "fov_degrees": 45}
        told: dict[str, Any] = {"schema_version": 1, "formats": {"sog": name}, "start_view": view}
        (folder / f"{name}.json").write_text(json.dumps(told))
    pages = {name: f"page/index.html?manifest=../{name}.json" for name in names}
    return {"empty page": "empty.html"} | pages


def surface(count: int, seed: int = 0) -> Gaussians:
    """Splats on a bumpy sphere, as many and as large as training leaves on an object."""
    draws = np.random.default_rng(seed)
    ways = draws.normal(size=(count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    radii = 1 + 0.15 * np.sin(5 * ways[:, 0]) * np.sin(4 * ways[:, 1] + 1) * np.sin(6 * ways[:, 2])
    spacing = np.sqrt(4 * np.pi / count)
    harmonics = draws.normal(scale=0.05, size=(count, (DEGREE + 1) ** 2, 3))
    harmonics[:, 0] = 0.35 * np.sin(3 * ways + [0, 1, 2]) / SH_C0
    arrays = (
        ways * radii[:, None], np.log(spacing * draws.uniform(0.5, 1.1, (count, 3))),
        draws.normal(size=(count, 4)), draws.normal(2, 1.5, count), harmonics,
    )  # fmt: skip
    return Gaussians(*(torch.tensor(array, dtype=torch.float32) for array in arrays))


def opened(url: str, case: str, profiles: Path | None) -> dict[str, float]:
    """Open one page in a browser of its own; seconds of the clock, and of processors."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(300_000)
        tree = browser_tree()
        session = page.context.new_cdp_session(page)
        if profiles:
            session.send("Profiler.enable")
            session.send("Profiler.start")
        before, start = cpu_seconds(tree), time.monotonic()
        page.goto(url, wait_until="commit")
        page.wait_for_function("window.maquette?.ready || window.maquette?.failed")
        found = {"ready": time.monotonic() - start, "cpu": cpu_seconds(tree) - before}
        page.wait_for_function(SETTLED)
        found["cpu_settled"] = cpu_seconds(tree) - before
        if profiles:
            kept = session.send("Profiler.stop")["profile"]
            profiles.mkdir(parents=True, exist_ok=True)
            (profiles / f"{case}.cpuprofile").write_text(json.dumps(kept))
        for mark in MARKS:
            entry = f"performance.getEntriesByName('maquette:{mark}')[0]?.startTime ?? null"
            if (at := page.evaluate(entry)) is not None:
                found[f"at_{mark}"] = at / 1000
        browser.close()
    return found


def browser_tree() -> psutil.Process:
    """The browser that this program has just started."""
    for child in psutil.Process().children(recursive=True):
        if "chrom" in child.name() and "--type=" not in " ".join(child.cmdline()):
            return child
    raise RuntimeError("no browser among this program's children")


def cpu_seconds(root: psutil.Process) -> float:
    """What a process and all that it started have computed so far."""
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def summary(case: str, runs: list[dict[str, float]]) -> Iterator[Row]:
    """Medians of what was measured of a case."""
    words = {
        "at_engine": "engine begun", "at_loaded": "scene read", "at_picture": "first picture",
        "ready": "ready, clock", "cpu": "ready, processors", "cpu_settled": "at rest, processors",
    }  # fmt: skip
    for key, metric in words.items():
        values = [run[key] for run in runs if key in run]
        if values:
            yield Row(case, "maquette", metric, statistics.median(values), "s")


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine."""
    handler = functools.partial(_Silent, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


if __name__ == "__main__":
    main()
