"""How good a network is on each part of a data set, and what its depth maps look like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from maquette.recon.mvsnet import losses, pfm
from maquette.recon.mvsnet.judging import strip
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch, SampleSource
from maquette.scene.atomic import replacing

DEPTHS = "depths_mvsnet"


@dataclass(frozen=True)
class Row:
    """What one sample measures: its name, and numbers by the names of `losses.METRICS`."""

    name: str
    numbers: dict[str, float]


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
        batch = Batch.stacked([source[int(index), 0]], device)
        prediction: Prediction = network(batch.images, batch.projections, batch.depth_range)
        found = losses.measured(prediction.depth, batch)[0].tolist()
        yield Row(batch.names[0], dict(zip(losses.METRICS, found, strict=True))), batch, prediction


def mean(rows: Sequence[Row]) -> dict[str, float]:
    """Means over the samples that have valid pixels, by name."""
    table = np.array([[row.numbers[name] for name in losses.METRICS] for row in rows])
    with_truth = table[np.isfinite(table).all(1)]
    if not len(with_truth):
        return {}
    return dict(zip(losses.METRICS, (round(float(v), 5) for v in with_truth.mean(0)), strict=True))


def write_maps(folder: Path, row: Row, batch: Batch, prediction: Prediction) -> list[Path]:
    """Write a depth map and its confidence as PFM, and both beside picture and truth as PNG.

    Returns:
        The three files, in MVSNet's names: `<name>.pfm`, `<name>_prob.pfm`, and `<name>.png`.
    """
    stem = re.sub(r"[^\w.-]+", "_", row.name)
    paths = [folder / f"{stem}{end}" for end in (".pfm", "_prob.pfm", ".png")]
    pfm.write(paths[0], prediction.depth[0].float().cpu().numpy())
    pfm.write(paths[1], prediction.confidence[0].float().cpu().numpy())
    with replacing(paths[2]) as temporary:
        Image.fromarray(strip(batch, prediction)).save(temporary, "PNG")
    return paths


def as_text(tables: dict[str, dict[str, Any]]) -> str:
    """The means of all parts as lines of a table."""
    lines = [f"{'part':<12}{'samples':>8}" + "".join(f"{name:>10}" for name in losses.METRICS)]
    for part, table in tables.items():
        numbers = "".join(f"{table.get(name, float('nan')):>10.4f}" for name in losses.METRICS)
        lines.append(f"{part:<12}{table['samples']:>8}{numbers}")
    return "\n".join(lines) + "\n"
