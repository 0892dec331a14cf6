"""Matching pairs of pictures in a COLMAP database, with geometric verification."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from maquette.recon.processes import spread
from maquette.recon.sfm import engine, likeness, pairs, parts
from maquette.recon.sfm.pairs import Pair
from maquette.recon.sfm.parts import Part
from maquette.scene.events import Progress

_BATCH = 100


def propose(database: Path, names: list[str], method: str, seed: int) -> list[Pair]:
    """List the pairs to match by `method`, exhaustive or sequential with loop closure."""
    if method == "exhaustive":
        return pairs.exhaustive(len(names))
    loops = pairs.alike(likeness.global_descriptors(database, names, seed))
    return pairs.in_tiles({*pairs.sequential(len(names)), *loops})


def match(
    database: Path, names: list[str], wanted: Sequence[Pair], seed: int, progress: Progress
) -> None:
    """Match the `wanted` pairs, given as positions in `names`; pairs already there are kept.

    Raises:
        JobFailed: one of the processes was killed.
    """
    missing = _missing(database, names, wanted)
    done = len(wanted) - len(missing)
    processes = engine.threads()
    size = max(1, min(_BATCH, math.ceil(len(missing) / processes)))
    folder = database.with_name(f"{database.name}-parts")
    folder.mkdir()
    tasks = [
        Part(database, folder / f"{number}.db", batch, seed)
        for number, batch in enumerate(pairs.batches(missing, size))
    ]
    try:
        with closing(spread(parts.match, tasks, processes)) as matched:
            for part in matched:
                parts.join(part)
                done += len(part.pairs)
                progress.step("pairs", done, len(wanted))
    finally:
        shutil.rmtree(folder)


def _missing(database: Path, names: list[str], wanted: Sequence[Pair]) -> list[tuple[str, str]]:
    with engine.opened(database) as handle:
        ids = {image.name: image.image_id for image in handle.read_all_images()}
        named = [(names[i], names[j]) for i, j in wanted]
        return [
            (one, other) for one, other in named if not handle.exists_matches(ids[one], ids[other])
        ]


def clear(database: Path) -> None:
    """Drop all matches of a database."""
    with engine.opened(database) as handle:
        handle.clear_matches()
        handle.clear_two_view_geometries()


def counts(database: Path) -> dict[str, int]:
    """How many pairs were tried and verified, and their matches."""
    with engine.opened(database) as handle:
        return {
            "pairs_matched": handle.num_matched_image_pairs(),
            "pairs_verified": handle.num_verified_image_pairs(),
            "matches": handle.num_inlier_matches(),
        }
