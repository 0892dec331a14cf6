"""Gaussian splats on the page: shown where a file is there that a browser can have, all listed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from maquette.scene import outputs
from maquette.scene.paths import Scene
from maquette.viewer.display import Display

_MOST = 1_000_000  # a browser sorts them for every picture
_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])
_NAME = "/splats"
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Shown:
    """Splats as the page draws them.

    Attributes:
        centers: [N, 3] world units.
        covariances: [N, 3, 3] world units squared.
        colors: [N, 3] sRGB and opacities [N, 1], 0..1.
    """

    centers: Floats
    covariances: Floats
    colors: Floats
    opacities: Floats


class SplatLayer:
    """A list of the files of splats, and a switch that shows the newest `.splat` of them."""

    def __init__(self, server: viser.ViserServer, scene: Scene, display: Display) -> None:
        self._server, self._scene, self._display = server, scene, display
        self._drawn: tuple[Path, float] | None = None
        with server.gui.add_folder("Splats"):
            self.switch = server.gui.add_checkbox("show", True)
            self.list = server.gui.add_markdown("")
        self.switch.on_update(lambda _: self.refresh())

    def refresh(self) -> None:
        """List what there is now, and show or hide it."""
        files = splat_files(self._scene)
        self.list.content = (
            "\n".join(
                f"- `{path.relative_to(self._scene.root)}` {path.stat().st_size / 1e6:.3g} MB"
                for path in files
            )
            or "*no splats yet*"
        )
        showable = [path for path in files if path.suffix == ".splat"]
        if not (showable and self.switch.value):
            self._server.scene.remove_by_name(_NAME)
            self._drawn = None
            return
        wanted = showable[0], showable[0].stat().st_mtime
        if wanted != self._drawn:
            self._draw(read(showable[0]))
            self._drawn = wanted

    def _draw(self, shown: Shown) -> None:
        self._server.scene.add_gaussian_splats(
            _NAME,
            centers=self._display.points(shown.centers),
            covariances=shown.covariances * np.float32(self._display.length(1.0) ** 2),
            rgbs=shown.colors,
            opacities=shown.opacities,
        )


def splat_files(scene: Scene) -> list[Path]:
    """The files of splats of all pipelines, newest first."""
    found = [
        scene.root / output.path
        for pipeline in outputs.pipelines_of(scene.root)
        for output in outputs.read(scene.of(pipeline))
        if output.kind == outputs.SPLATS
    ]
    return sorted(found, key=lambda path: -path.stat().st_mtime)


def read(path: Path) -> Shown:
    """Read a `.splat` file, at most its million most important, in the scene's world."""
    scale = _scale(path.with_name("manifest.json"))
    rows = np.fromfile(path, _ROW, count=_MOST)
    rotation = (rows["rotation"].astype(np.float32) - 128) / 128
    axes = _matrices(rotation / np.linalg.norm(rotation, axis=1, keepdims=True))
    lengths = axes * (rows["scale"] / scale)[:, None, :]
    rgba = rows["rgba"].astype(np.float32) / 255
    return Shown(
        rows["mean"] / np.float32(scale), lengths @ lengths.transpose(0, 2, 1),
        rgba[:, :3], rgba[:, 3:],
    )  # fmt: skip


def _scale(manifest: Path) -> float:
    """Units of a file in a unit of the world; 1 where no manifest tells."""
    try:
        told: Any = json.loads(manifest.read_text(encoding="utf-8"))
        return float(told["metadata"]["scene_scale"])
    except (OSError, ValueError, KeyError, TypeError):
        return 1.0


def _matrices(quaternions: Floats) -> Floats:
    """Rotation matrices [N, 3, 3] of unit quaternions (w, x, y, z) [N, 4]."""
    w, x, y, z = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows, np.float32), -1, 0)
