"""A bumpy terrain of splats as streamed SOG, a page that shows it, and who hands out the files."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from maquette.recon.splats.files.streamed_sog import INDEX, Division, write_streamed_sog
from maquette.recon.splats.gaussians import SH_C0, Gaussians

SIZE = 40.0  # of the terrain's sides, world units; y points down
BEHIND = "#101820"


def terrain(side: int) -> Gaussians:
    """`side`² flat opaque splats, green below and yellow above, red along the middle."""
    axis = (np.arange(side) + 0.5) / side * SIZE - SIZE / 2
    x, z = (values.ravel() for values in np.meshgrid(axis, axis))
    height = 1.2 * np.sin(0.5 * x) * np.cos(0.4 * z) + 0.3 * np.sin(2.1 * x + 1.7 * z)
    step, count = SIZE / side, side * side
    share = ((height + 1.5) / 3.0)[:, None]
    colors = (1 - share) * np.array([0.15, 0.45, 0.15]) + share * np.array([0.85, 0.8, 0.3])
    colors[np.abs(x) < 1.0] = [0.8, 0.1, 0.1]
    colors *= np.random.default_rng(1).uniform(0.85, 1.0, (count, 1))
    sizes = np.log(np.array([0.7, 0.3, 0.7]) * step)
    return Gaussians(
        means=torch.from_numpy(np.stack([x, -height, z], axis=1)).float(),
        log_scales=torch.from_numpy(sizes).float().repeat(count, 1),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        opacity_logits=torch.full((count,), 5.0),
        sh=torch.from_numpy((colors - 0.5) / SH_C0).float()[:, None],
    )


def write(folder: Path, side: int, division: Division) -> None:
    """Write the terrain, and a manifest that looks along it from one edge."""
    write_streamed_sog(folder / "terrain", terrain(side), division)
    write_manifest(folder, side)


def write_manifest(folder: Path, side: int) -> None:
    """Write what the page is to know of the terrain."""
    half = SIZE / 2
    told = {
        "schema_version": 1, "title": "Terrain", "up": [0, -1, 0], "background": BEHIND,
        "formats": {"lod": f"terrain/{INDEX}"}, "best_format": "lod", "splats": side * side,
        "scene_bounds": {"min": [-half, -2, -half], "max": [half, 2, half]},
        "start_view": {
            "position": [0, -4, -half - 2], "look_at": [0, 0, -half + 8], "fov_degrees": 60,
        },
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(told))


def shown_splats(page: object) -> int:
    """How many splats the last frame of a browser's page drew."""
    return int(page.evaluate("maquette.viewer.stage.app.stats.frame.gsplats"))


def limit_splats(page: object, most: int) -> None:
    """Let a browser's page draw no more than so many."""
    stage = "maquette.viewer.stage"
    page.evaluate(f"{stage}.app.scene.gsplat.splatBudget = {most}; {stage}.wake()")


@dataclass
class Served:
    """Where the page is, and what was asked for.

    Attributes:
        finest: Files of level 0 wait for it; set at first.
        asked: Path → bytes that were sent, in order.
    """

    address: str = ""
    finest: threading.Event = field(default_factory=threading.Event)
    asked: dict[str, int] = field(default_factory=dict)

    @property
    def sent_bytes(self) -> int:
        """Of splats, so far."""
        return sum(size for path, size in list(self.asked.items()) if "/terrain/" in path)

    def files(self, level: int) -> set[str]:
        """Folders of a level of which something was asked for."""
        names = (path.rpartition("terrain/")[2].partition("/")[0] for path in list(self.asked))
        return {name for name in names if name.startswith(f"{level}_")}


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder that has the page below `page/` on a free port."""
    found = Served()
    found.finest.set()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            found.asked[self.path] = path.stat().st_size if path.is_file() else 0
            if "/terrain/0_" in self.path:
                found.finest.wait(270)
            super().do_GET()

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_port}/page/index.html"
    try:
        yield found
    finally:
        found.finest.set()
        server.shutdown()
        server.server_close()
