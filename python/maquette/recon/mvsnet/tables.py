"""How good a network is on each part of a data set, and what its depth maps look like."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mvsnet import losses, pfm
from maquette.recon.mvsnet.cloud_errors import METRICS
from maquette.recon.mvsnet.clouds import Cloud
from maquette.recon.mvsnet.judging import strip
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch, SampleSource
from maquette.scene.atomic import replacing

DEPTHS, CLOUDS = "depths_mvsnet", "clouds_mvsnet"
_WIDTH = 14  # of a column


@dataclass(frozen=True)
class Row:
    """What one sample measures: its name, and numbers by the names of `losses.METRICS`.

    Attributes:
        scan: Of the sample.
    """

    name: str
    numbers: dict[str, float]
    scan: str = ""

    def as_json(self) -> dict[str, Any]:
        """Name and numbers; null for what could not be measured."""
        numbers = {name: v if math.isfinite(v) else None for name, v in self.numbers.items()}
        return {"name": self.name, **numbers}


@torch.no_grad()
def measure(
    network: nn.Module, source: SampleSource, device: torch.device, limit: int = 0
) -> Iterator[tuple[Row, Batch, Prediction]]:
    """Rows of a part, each with its sample and the prediction.

    Args:
        limit: Samples at most, evenly chosen; 0: all.
    """
    count = len(source)
    for index in np.linspace(0, count - 1, min(limit or count, count)).round().astype(int):
        sample = source[int(index), 0]
        batch = Batch.stacked([sample], device)
        prediction: Prediction = network(batch.images, batch.projections, batch.depth_range)
        found = losses.measured(prediction.depth, batch)[0].tolist()
        numbers = dict(zip(losses.METRICS, found, strict=True))
        yield Row(sample.name, numbers, sample.scan), batch, prediction


def mean(rows: Sequence[Row]) -> dict[str, float]:
    """Means over the samples or clouds for which all was measured, by name."""
    names = list(rows[0].numbers) if rows else []
    table = np.array([[row.numbers[name] for name in names] for row in rows])
    with_truth = table[np.isfinite(table).all(1)] if rows else table
    if not len(with_truth):
        return {}
    return dict(zip(names, (round(float(v), 5) for v in with_truth.mean(0)), strict=True))


def write_maps(folder: Path, row: Row, batch: Batch, prediction: Prediction) -> list[Path]:
    """Write a depth map and its confidence as PFM, and both beside picture and truth as PNG.

    Returns:
        The three files, in MVSNet's names: `<name>.pfm`, `<name>_prob.pfm`, and `<name>.png`.
    """
    stem = _file_name(row.name)
    paths = [folder / f"{stem}{end}" for end in (".pfm", "_prob.pfm", ".png")]
    pfm.write(paths[0], prediction.depth[0].float().cpu().numpy())
    pfm.write(paths[1], prediction.confidence[0].float().cpu().numpy())
    with replacing(paths[2]) as temporary:
        Image.fromarray(strip(batch, prediction)).save(temporary, "PNG")
    return paths


def write_cloud(folder: Path, cloud: Cloud) -> Path:
    """Write the points of a scan as PLY."""
    path, points = folder / f"{_file_name(cloud.scan)}.ply", cloud.points
    path.parent.mkdir(parents=True, exist_ok=True)
    colors = None if points.colors is None else points.colors / 255
    write_ply(path, TriangleMesh(points.points, np.zeros((0, 3), np.int32), colors=colors))
    return path


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)


def as_text(tables: dict[str, dict[str, Any]]) -> str:
    """The means of all parts as lines of a table; those of clouds where there are any."""
    has_clouds = any(METRICS[0] in table for table in tables.values())
    names = (*losses.METRICS, *(METRICS if has_clouds else ()))
    lines = [f"{'part':<12}{'samples':>8}" + "".join(f"{name:>{_WIDTH}}" for name in names)]
    for part, table in tables.items():
        numbers = "".join(f"{table.get(name, float('nan')):>{_WIDTH}.4f}" for name in names)
        lines.append(f"{part:<12}{table['samples']:>8}{numbers}")
    return "\n".join(lines) + "\n"
