"""Stage `tables`: how good the trained network is on validation and test data, and its maps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maquette.recon import gpus
from maquette.recon.mvsnet import cloud_errors, clouds, tables, trained
from maquette.recon.mvsnet.datasets import location, opening
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.samples import SampleSource, SupportsTruth
from maquette.recon.stages.mvsnet import STAGES
from maquette.scene import outputs
from maquette.scene.atomic import write_json, write_text
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["tables"]

_PARTS = ("validation", "test")
_KINDS = {".png": outputs.PICTURE, ".ply": outputs.POINTS}


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
        measured = _Part(part, source, scene.results, options, device)
        files = measured.run(network, progress)
        if measured.rows:
            told[part] = measured.means()
            written += [*files, measured.write(told[part])]
    table = scene.results / "table.txt"
    write_text(table, tables.as_text(told))
    progress.say(tables.as_text(told).rstrip())
    numbers = {"network": found.source, "iteration": found.iteration, **told}
    kinds = {path: _KINDS[path.suffix] for path in written if path.suffix in _KINDS}
    return Report([table, *written], numbers=numbers, kinds=kinds)


class _Part:
    """What the network makes of one part of the data."""

    def __init__(
        self, name: str, source: SampleSource, results: Path, options: DeclaredOptions,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.rows: list[tables.Row] = []
        self._clouds: list[tables.Row] = []
        self._name, self._source, self._results = name, source, results
        self._options, self._device = options, device

    def run(self, network: nn.Module, progress: Progress) -> list[Path]:
        """Measure all samples; the maps and clouds that were written."""
        options, source = self._options, self._source
        count = min(options.val_samples or len(source), len(source))
        scans = clouds.Scans(self._device)
        written: list[Path] = []
        measured = tables.measure(network, source, self._device, options.val_samples)
        for row, batch, prediction in measured:
            self.rows.append(row)
            if len(self.rows) <= options.depth_maps:
                folder = self._results / tables.DEPTHS / self._name
                written += tables.write_maps(folder, row, batch, prediction)
            if count == len(source):  # a cloud of some of its views would be no measure
                written += self._measured(scans.add(row.scan, batch, prediction))
            progress.step(self._name, len(self.rows), count, **row.numbers)
        return [*written, *self._measured(scans.last())]

    def _measured(self, found: Iterable[clouds.Cloud]) -> list[Path]:
        """Measure clouds; the files of the first ones."""
        written = []
        for cloud in found:
            known = (
                self._source.truth(cloud.scan) if isinstance(self._source, SupportsTruth) else None
            )
            numbers = cloud_errors.measure(cloud.points.points, known or cloud.truth)
            self._clouds.append(tables.Row(cloud.scan, numbers))
            if len(self._clouds) <= self._options.clouds and len(cloud.points.points):
                written.append(
                    tables.write_cloud(self._results / tables.CLOUDS / self._name, cloud)
                )
        return written

    def means(self) -> dict[str, Any]:
        """Counts and means, by name."""
        told = {"samples": len(self.rows), **tables.mean(self.rows)}
        return {**told, "clouds": len(self._clouds), **tables.mean(self._clouds)}

    def write(self, means: dict[str, Any]) -> Path:
        """Write what each sample and each cloud measured."""
        path = self._results / f"{self._name}.json"
        samples, scans = ([row.as_json() for row in rows] for rows in (self.rows, self._clouds))
        write_json(path, {"mean": means, "samples": samples, "clouds": scans})
        return path
