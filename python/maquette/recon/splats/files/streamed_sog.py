"""Streamed SOG, version 1 (PlayCanvas): splats by parts of space and levels of detail.

A folder holds `lod-meta.json`, a tree of boxes, and a folder in SOG's form for each file. A leaf of
the tree names, for each level, a file and which of its rows are its own; level 0 has all Gaussians.
A viewer fetches a coarse level first, then finer ones of what is near. Files of one level hold
leaves that are neighbours, so the coarsest level of millions is one file or a few.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maquette.recon.splats.files.sog import sog_files
from maquette.recon.splats.files.sog_steps import even_steps
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import importance
from maquette.recon.splats.morton import morton_order
from maquette.scene.atomic import replacing

INDEX = "lod-meta.json"
FEWER = 4  # times, from level to level
_REACH = 3.0  # standard deviations within a box
_FEWEST = 16  # in a leaf, for a coarser level to be made of it


@dataclass(frozen=True)
class Division:
    """How splats are divided.

    Attributes:
        leaf: The most Gaussians of a leaf at level 0.
        file: The most of a file that holds several leaves.
        levels: Of detail.
    """

    leaf: int = 1 << 16
    file: int = 1 << 17
    levels: int = 4


def write_streamed_sog(
    folder: Path, gaussians: Gaussians, division: Division | None = None, *, seed: int = 0
) -> Path:
    """Write Gaussians into a folder, the index last; returns the index.

    Args:
        seed: Of the palettes' k-means.
    """
    division = division or Division()
    folder.mkdir(parents=True, exist_ok=True)
    leaves: list[list[Gaussians]] = []
    tree = _divided(gaussians.detached().to("cpu"), division, leaves)
    filenames: list[str] = []
    for level in range(division.levels):
        parts = [leaf[level] for leaf in leaves]
        for number, numbers in enumerate(_together([len(part) for part in parts], division.file)):
            name = f"{level}_{number}/meta.json"
            _write_file(folder / f"{level}_{number}", [parts[one] for one in numbers], seed)
            _note(tree, numbers, [len(parts[one]) for one in numbers], level, len(filenames))
            filenames.append(name)
    counts = [sum(len(leaf[level]) for leaf in leaves) for level in range(division.levels)]
    index = {
        "version": 1, "asset": {"generator": "maquette"}, "count": sum(counts), "counts": counts,
        "lodLevels": division.levels, "filenames": filenames, "tree": tree.as_json(),
    }  # fmt: skip
    with replacing(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index, separators=(",", ":")))
    return folder / INDEX


@dataclass
class _Node:
    """A box of space; a leaf has a number, and for each level a file, first row and count."""

    low: list[float]
    high: list[float]
    children: list[_Node]
    leaf: int = -1
    lods: dict[str, dict[str, int]] | None = None

    def leaves(self) -> Iterator[_Node]:
        """All leaves below, in the order of their numbers."""
        if self.leaf >= 0:
            yield self
        for child in self.children:
            yield from child.leaves()

    def as_json(self) -> dict[str, Any]:
        """Its place in the index."""
        bound = {"min": self.low, "max": self.high}
        if self.leaf >= 0:
            return {"bound": bound, "lods": self.lods}
        return {"bound": bound, "children": [child.as_json() for child in self.children]}


def _divided(part: Gaussians, division: Division, leaves: list[list[Gaussians]]) -> _Node:
    """The tree of some Gaussians: halves along the longest side of their box, down to leaves."""
    if len(part) <= division.leaf:
        levels = [part.chosen(morton_order(part.means))]
        while len(levels) < division.levels:
            levels.append(coarser(levels[-1]))
        leaves.append(levels)
        reach = _REACH * part.scales.max(dim=1).values[:, None]
        low, high = (
            _rounded((part.means - reach).amin(dim=0)),
            _rounded((part.means + reach).amax(dim=0)),
        )
        return _Node(low, high, [], len(leaves) - 1, {})
    spans = part.means.amax(dim=0) - part.means.amin(dim=0)
    order = part.means[:, int(spans.argmax())].argsort(stable=True)
    middle = len(order) // 2
    halves = [part.chosen(order[:middle]), part.chosen(order[middle:])]
    children = [_divided(half, division, leaves) for half in halves]
    low = [min(values) for values in zip(*(child.low for child in children), strict=True)]
    high = [max(values) for values in zip(*(child.high for child in children), strict=True)]
    return _Node(low, high, children)


def coarser(part: Gaussians) -> Gaussians:
    """One Gaussian in place of each four that follow one another, which are neighbours.

    It has the form and opacity of the most important of the four, so much larger that a surface
    that four covered is covered still, and the mean place and colour of all, weighted by their
    importance; where they stand far apart it moves no farther than it reaches. A handful stays as
    it is, and up to three that are left over go.
    """
    if len(part) < _FEWEST:
        return part
    groups = len(part) // FEWER
    worth = importance(part)[: groups * FEWER].reshape(groups, FEWER)
    share = worth / worth.sum(dim=1, keepdim=True).clamp_min(1e-30)
    kept = part.chosen(worth.argmax(dim=1) + FEWER * torch.arange(groups))

    def mean(values: Tensor) -> Tensor:
        grouped = values[: groups * FEWER].reshape(groups, FEWER, -1)
        return (share[..., None] * grouped).sum(dim=1).reshape(groups, *values.shape[1:])

    log_scales = kept.log_scales + math.log(FEWER) / 2
    way = mean(part.means) - kept.means
    length = way.norm(dim=1, keepdim=True).clamp_min(1e-30)
    reach = log_scales.exp().max(dim=1, keepdim=True).values
    means = kept.means + way * (reach / length).clamp_max(1.0)
    return replace(kept, means=means, log_scales=log_scales, sh=mean(part.sh))


def _together(counts: Sequence[int], most: int) -> Iterator[list[int]]:
    """Numbers of leaves that share a file, in order."""
    numbers: list[int] = []
    taken = 0
    for number, count in enumerate(counts):
        if numbers and taken + count > most:
            yield numbers
            numbers, taken = [], 0
        numbers.append(number)
        taken += count
    yield numbers


def _note(
    tree: _Node, numbers: Sequence[int], counts: Sequence[int], level: int, file: int
) -> None:  # fmt: skip
    """Tell leaves where their rows of a level are."""
    first, leaves = 0, list(tree.leaves())
    for number, count in zip(numbers, counts, strict=True):
        lods = leaves[number].lods
        assert lods is not None
        lods[str(level)] = {"file": file, "offset": first, "count": count}
        first += count


def _write_file(folder: Path, parts: Sequence[Gaussians], seed: int) -> None:
    folder.mkdir(exist_ok=True)
    joined = Gaussians.joined(parts)
    for name, content in sog_files(joined, even_steps(joined), seed=seed):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]
