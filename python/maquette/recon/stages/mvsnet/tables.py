"""Stage `tables`: how good the trained network is on validation and test data, and its maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.recon import gpus
from maquette.recon.mvsnet import tables, trained
from maquette.recon.mvsnet.datasets import location, opening
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.stages.mvsnet import STAGES
from maquette.scene.atomic import write_json, write_text
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["tables"]

_PARTS = ("validation", "test")


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Measure, and write the table, the numbers and some depth maps."""
    found = trained.read(scene.run(options.group), options.checkpoint)
    device = gpus.device_of(options.gpus)
    network = trained.on(found, device)
    root, index = location.root_of(scene), location.read_index(scene)
    planes = PlaneOptions(**found.planes)
    told: dict[str, dict[str, Any]] = {}
    written: list[Path] = []
    for part in _PARTS:
        source = opening.open_source(opening.describe(root, index, part, planes))
        count = min(options.val_samples or len(source), len(source))
        rows = []
        for row, batch, prediction in tables.measure(network, source, device, options.val_samples):
            rows.append(row)
            if len(rows) <= options.depth_maps:
                folder = scene.results / tables.DEPTHS / part
                written += tables.write_maps(folder, row, batch, prediction)
            progress.step(part, len(rows), count, **row.numbers)
        if rows:
            told[part] = {"samples": len(rows), **tables.mean(rows)}
            names = [{"name": row.name, **row.numbers} for row in rows]
            write_json(scene.results / f"{part}.json", {"mean": told[part], "samples": names})
            written.append(scene.results / f"{part}.json")
    table = scene.results / "table.txt"
    write_text(table, tables.as_text(told))
    progress.say(tables.as_text(told).rstrip())
    numbers = {"network": found.source, "iteration": found.iteration, **told}
    kinds = {path: "picture" for path in written if path.suffix == ".png"}
    return Report([table, *written], numbers=numbers, kinds=kinds)
