"""Matching pairs of pictures in a COLMAP database, with geometric verification.

The database is cut into parts, each matched by a process of its own with one thread: with several,
pycolmap 4.2 now and then finds other matches in the same pictures, so that no two runs would be
sure to be alike.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.recon.processes import spread
from maquette.recon.sfm import colmap, pairs, shards
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.pairs import Pair
from maquette.scene.events import Progress

MIN_INLIERS = 15  # of a verified pair: COLMAP's own limit
_BATCH = 100
_FEW = 16  # pairs that are matched before a process has started


def match(
    database: Path,
    names: list[str],
    wanted: Sequence[Pair],
    seed: int,
    progress: Progress,
    min_inliers: int = MIN_INLIERS,
    into: Path | None = None,
    processes: int = 0,
) -> None:
    """Match the `wanted` pairs, given as positions in `names`; pairs already there are kept.

    Args:
        min_inliers: Matches that must agree with one geometry, else a pair keeps none.
        into: Another database for the matches, which needs to hold nothing else.
        processes: How many work; 0: one a processor.

    Raises:
        JobFailed: one of the processes was killed.
    """
    target = into or database
    missing = _missing(database, target, names, wanted)
    done = len(wanted) - len(missing)
    processes = 0 if len(missing) <= _FEW else processes or colmap.threads()
    size = max(1, min(_BATCH, math.ceil(len(missing) / max(processes, 1))))
    folder = target.with_name(f"{target.name}-parts")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tasks = [
        _Part(database, folder / f"{number}.db", batch, seed, min_inliers)
        for number, batch in enumerate(pairs.batches(missing, size))
    ]
    try:
        with closing(_matched(tasks, processes)) as matched:
            for part in matched:
                shards.join_pairs(target, part.file)
                part.file.unlink()
                done += len(part.pairs)
                progress.step("pairs", done, len(wanted))
    finally:
        shutil.rmtree(folder)


def _matched(tasks: Sequence[_Part], processes: int) -> Generator[_Part, None, None]:
    """Match the parts, by helper processes or, with none, here."""
    if processes:
        yield from spread(_match_part, tasks, processes)
    else:
        yield from map(_match_part, tasks)


def _missing(
    database: Path, target: Path, names: list[str], wanted: Sequence[Pair]
) -> list[tuple[str, str]]:
    ids = colmap.image_ids(database)
    named = [(names[i], names[j]) for i, j in wanted]
    with colmap.opened(target) as handle:
        return [
            (one, other) for one, other in named if not handle.exists_matches(ids[one], ids[other])
        ]


def clear(database: Path) -> None:
    """Drop all matches of a database, and features that have no descriptor to match by.

    These are learned ones (`learned/matching.py`), which stand behind the others.
    """
    with colmap.opened(database) as handle:
        handle.clear_matches()
        handle.clear_two_view_geometries()
        if handle.num_keypoints() == handle.num_descriptors():
            return
        for image in handle.read_all_images():
            described = handle.num_descriptors_for_image(image.image_id)
            keypoints = handle.read_keypoints(image.image_id)
            if len(keypoints) > described:
                handle.update_keypoints(image.image_id, keypoints[:described])


def counts(database: Path) -> dict[str, int]:
    """How many pairs were tried and verified, and their matches."""
    with colmap.opened(database) as handle:
        _, inliers = handle.read_two_view_geometry_num_inliers()
        return {
            "pairs_matched": handle.num_matched_image_pairs(),
            "pairs_verified": sum(number > 0 for number in inliers),
            "matches": handle.num_inlier_matches(),
        }


def verified_pairs(database: Path, names: list[str]) -> list[Pair]:
    """The pairs that agree with a geometry, as positions in `names`."""
    return [pair for pair, number in inliers(database, names).items() if number > 0]


def inliers(database: Path, names: list[str]) -> dict[Pair, int]:
    """Matches of each pair that agree with its geometry; 0 for a pair that was not verified."""
    with colmap.opened(database) as handle:
        return _by_position(handle, names, *handle.read_two_view_geometry_num_inliers())


def matches(database: Path, names: list[str]) -> dict[Pair, int]:
    """Matches of each pair before verification."""
    with colmap.opened(database) as handle:
        return _by_position(handle, names, *handle.read_num_matches())


def _by_position(
    handle: Any, names: list[str], pair_ids: list[int], numbers: list[int]
) -> dict[Pair, int]:
    place = {name: position for position, name in enumerate(names)}
    positions = {image.image_id: place[image.name] for image in handle.read_all_images()}
    found = {}
    for pair_id, number in zip(pair_ids, numbers, strict=True):
        one, other = (positions[image] for image in pycolmap.pair_id_to_image_pair(pair_id))
        found[min(one, other), max(one, other)] = number
    return found


@dataclass(frozen=True)
class _Part:
    """Pairs of pictures, by name, to be matched in `file`, which is cut out of `database`."""

    database: Path
    file: Path
    pairs: Sequence[tuple[str, str]]
    seed: int
    min_inliers: int


def _match_part(part: _Part) -> _Part:
    """Cut the part out and match and verify its pairs, with one thread."""
    pictures = {name for pair in part.pairs for name in pair}
    shards.cut(part.database, part.file, pictures)
    chosen = pycolmap.FeatureMatchingOptions()
    chosen.type = pycolmap.FeatureMatcherType.SIFT_BRUTEFORCE
    chosen.use_gpu = False
    chosen.num_threads = 1
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = part.seed
    verification.min_num_inliers = part.min_inliers
    listing = pycolmap.ImportedPairingOptions()
    listing.match_list_path = part.file.with_suffix(".txt")
    lines = [f"{one} {other}\n" for one, other in part.pairs]
    Path(listing.match_list_path).write_text("".join(lines), encoding="utf-8")
    pycolmap.match_image_pairs(part.file, chosen, listing, verification, pycolmap.Device.cpu)
    colmap.settle(part.file)
    return part
