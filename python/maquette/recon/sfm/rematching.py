"""Databases whose pictures are matched again: with other cameras, and which pairs then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maquette.recon.sfm import colmap, matching, pairs, proposing
from maquette.recon.sfm.learned import database as learned
from maquette.recon.sfm.workspace import Workspace

_WIDE = 20


def with_other_cameras(
    workspace: Workspace, name: str, database: Path, change: Callable[[Path], None]
) -> Path:
    """A copy with changed cameras: pairs are matched again, for cameras decide what agrees."""
    other = workspace.work / f"{name}.db"
    colmap.copy(database, other)
    names = colmap.image_names(other)
    wanted = list(matching.matches(other, names))
    change(other)
    if learned.is_in(other):
        learned.verify_again(other, workspace.options.seed)
    else:
        matching.clear(other)
        matching.match(other, names, wanted, workspace.options.seed, workspace.progress)
    colmap.settle(other)
    return other


def many_pairs(workspace: Workspace, database: Path, names: list[str]) -> list[pairs.Pair]:
    """Every pair of few pictures, of many those near in order and those that look alike."""
    if len(names) <= pairs.EXHAUSTIVE_AT_MOST:
        return pairs.exhaustive(len(names))
    options = workspace.options
    found = proposing.propose(database, names, "sequential", options.seed, options.is_video)
    return pairs.in_tiles({*pairs.sequential(len(names), _WIDE), *found.pairs})
