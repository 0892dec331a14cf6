"""Matching pairs of pictures in a COLMAP database, with geometric verification.

The database is cut into parts, each matched by a process of its own with one thread: with several,
pycolmap 4.2 now and then finds other matches in the same pictures, so that no two runs would be
sure to be alike.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.recon.processes import spread
from maquette.recon.sfm import colmap, pairs, retrieval
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.pairs import Pair
from maquette.scene.events import Progress

MIN_INLIERS = 15  # of a verified pair: COLMAP's own limit
_BATCH = 100
_FEW = 16  # pairs that are matched before a process has started
_PATIENCE_S = 300.0  # while another process reads or writes the whole database
_BY_PICTURE = ("keypoints", "descriptors")
_BY_PAIR = ("matches", "two_view_geometries")


def propose(database: Path, names: list[str], method: str, seed: int) -> list[Pair]:
    """List the pairs to match by `method`, exhaustive or sequential with loop closure."""
    if method == "exhaustive":
        return pairs.exhaustive(len(names))
    loops = pairs.similar(retrieval.global_descriptors(database, names, seed))
    return pairs.in_tiles({*pairs.sequential(len(names)), *loops})


def match(
    database: Path,
    names: list[str],
    wanted: Sequence[Pair],
    seed: int,
    progress: Progress,
    min_inliers: int = MIN_INLIERS,
) -> None:
    """Match the `wanted` pairs, given as positions in `names`; pairs already there are kept.

    Args:
        min_inliers: Matches that must agree with one geometry, else a pair keeps none.

    Raises:
        JobFailed: one of the processes was killed.
    """
    missing = _missing(database, names, wanted)
    done = len(wanted) - len(missing)
    processes = 0 if len(missing) <= _FEW else colmap.threads()
    size = max(1, min(_BATCH, math.ceil(len(missing) / max(processes, 1))))
    folder = database.with_name(f"{database.name}-parts")
    folder.mkdir()
    tasks = [
        _Part(database, folder / f"{number}.db", batch, seed, min_inliers)
        for number, batch in enumerate(pairs.batches(missing, size))
    ]
    try:
        with closing(_matched(tasks, processes)) as matched:
            for part in matched:
                _join(part)
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


def _missing(database: Path, names: list[str], wanted: Sequence[Pair]) -> list[tuple[str, str]]:
    with colmap.opened(database) as handle:
        ids = {image.name: image.image_id for image in handle.read_all_images()}
        named = [(names[i], names[j]) for i, j in wanted]
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
    _cut(part)
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


def _join(part: _Part) -> None:
    """Add the matches of a part to its database; the part's file goes."""
    with _attached(part.database, part.file) as handle:
        for table in _BY_PAIR:
            handle.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
    part.file.unlink()


def _cut(part: _Part) -> None:
    """Make the part's file: all of the database but matches, features of its pictures alone."""
    names = {name for pair in part.pairs for name in pair}
    colmap.create(part.file)
    with _attached(part.file, part.database) as handle:
        tables = handle.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            if table not in (*_BY_PICTURE, *_BY_PAIR, "sqlite_sequence"):
                handle.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
        handle.execute("CREATE TEMP TABLE chosen (name)")
        handle.executemany("INSERT INTO chosen VALUES (?)", [(name,) for name in names])
        for table in _BY_PICTURE:
            handle.execute(
                f"INSERT INTO {table} SELECT * FROM other.{table} WHERE image_id IN "
                "(SELECT image_id FROM main.images JOIN chosen USING (name))"
            )


@contextmanager
def _attached(database: Path, other: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, timeout=_PATIENCE_S)) as handle, handle:
        handle.execute("ATTACH ? AS other", (str(other),))
        yield handle
