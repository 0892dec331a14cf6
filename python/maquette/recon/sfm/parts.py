"""Parts of a COLMAP database, each matched by a process of its own.

A process matches with one thread: with several, pycolmap 4.2 now and then finds other matches
in the same pictures, so that no two runs would be sure to be alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from maquette.recon.sfm import engine
from maquette.recon.sfm.engine import pycolmap

_PATIENCE_S = 300.0  # while another process reads or writes the whole database
_BY_PICTURE = ("keypoints", "descriptors")
_BY_PAIR = ("matches", "two_view_geometries")


@dataclass(frozen=True)
class Part:
    """Pairs of pictures, by name, to be matched in `file`, which is cut out of `database`."""

    database: Path
    file: Path
    pairs: Sequence[tuple[str, str]]
    seed: int


def match(part: Part) -> Part:
    """Cut the part out and match and verify its pairs, with one thread."""
    _cut(part)
    chosen = pycolmap.FeatureMatchingOptions()
    chosen.type = pycolmap.FeatureMatcherType.SIFT_BRUTEFORCE
    chosen.use_gpu = False
    chosen.num_threads = 1
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = part.seed
    listing = pycolmap.ImportedPairingOptions()
    listing.match_list_path = part.file.with_suffix(".txt")
    lines = [f"{one} {other}\n" for one, other in part.pairs]
    Path(listing.match_list_path).write_text("".join(lines), encoding="utf-8")
    pycolmap.match_image_pairs(part.file, chosen, listing, verification, pycolmap.Device.cpu)
    engine.settle(part.file)
    return part


def join(part: Part) -> None:
    """Add the matches of a part to its database; the part's file goes."""
    with _attached(part.database, part.file) as handle:
        for table in _BY_PAIR:
            handle.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
    part.file.unlink()


def _cut(part: Part) -> None:
    """Make the part's file: all of the database but matches, features of its pictures alone."""
    names = {name for pair in part.pairs for name in pair}
    engine.create(part.file)
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
