"""Training runs as the gallery shows them: previews, the curve of the loss, the newest figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maquette.quantities import number
from maquette.scene.paths import Scene

_MOST_POINTS = 240  # of a curve
_TAIL_BYTES = 8 << 20
_WORDS = {
    "iteration": "iteration", "loss": "loss", "psnr": "PSNR, dB",
    "held_out_psnr": "PSNR of held-out photos, dB", "held_out_ssim": "SSIM of held-out photos",
    "gaussians": "splats", "it_per_s": "iterations a second", "lr": "learning rate",
}  # fmt: skip
_CURVES = ("loss", "psnr", "held_out_psnr")


def runs(scene: Scene) -> list[dict[str, Any]]:
    """Every run of every pipeline, the newest first."""
    folders = [path for path in scene.root.glob("runs/*/*") if path.is_dir()]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [_run(scene, folder) for folder in folders]


def _run(scene: Scene, folder: Path) -> dict[str, Any]:
    rows = _rows(folder / "metrics.jsonl")
    return {
        "pipeline": folder.parent.name,
        "group": folder.name,
        "previews": _previews(scene, folder),
        "figures": _figures(rows),
        "curves": {name: curve for name in _CURVES if (curve := _curve(rows, name))},
    }


def _previews(scene: Scene, folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "previews").glob("iteration_*.png")):
        model = path.with_suffix(".ply")
        iteration = path.stem.rpartition("_")[2]
        if iteration.isdigit():
            found.append(
                {
                    "iteration": int(iteration), "url": scene.relative(path),
                    "model": scene.relative(model) if model.is_file() else "",
                }
            )  # fmt: skip
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    """The metrics, without half a line at either end."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut off here, or while training writes it
        if isinstance(row, dict) and isinstance(row.get("iteration"), (int, float)):
            rows.append(row)
    return rows


def _figures(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The newest of each figure, in words: `[["loss", "0.042"], …]`."""
    newest: dict[str, Any] = {}
    for row in rows:
        newest |= row
    return [[words, _told(newest[name])] for name, words in _WORDS.items() if name in newest]


def _told(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return number(int(value) if whole else value)


def _curve(rows: list[dict[str, Any]], name: str) -> list[list[float]]:
    """Pairs of iteration and value; of many, means of neighbours."""
    pairs = [
        (row["iteration"], row[name]) for row in rows if isinstance(row.get(name), (int, float))
    ]
    step = max(1, -(-len(pairs) // _MOST_POINTS))
    groups = [pairs[first : first + step] for first in range(0, len(pairs), step)]
    return [
        [float(group[-1][0]), float(f"{sum(value for _, value in group) / len(group):.5g}")]
        for group in groups
    ]
