"""How features and matches are shared out, and what a shard made joined to the one database.

A shard's database lies in the folder of its stage's records until the stage is done. SQLite copies
rows from file to file, so a join holds one row in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from maquette.recon.sfm import colmap
from maquette.recon.sfm.features import Search

BY_PICTURE = ("keypoints", "descriptors")
BY_PAIR = ("matches", "two_view_geometries")
_PATIENCE_S = 300.0  # while another process reads or writes the whole database


def threads_of(workers: int) -> int:
    """The threads of one shard, where so many run side by side."""
    return max(1, colmap.threads() // workers)


def share_out(searches: Sequence[Search], size: int) -> list[list[Search]]:
    """Cut the pictures of some cameras, in order, into shares of `size` pictures."""
    pictures = [(place, name) for place, one in enumerate(searches) for name in one.names]
    shares = []
    for first in range(0, len(pictures), size):
        by_camera = groupby(pictures[first : first + size], key=itemgetter(0))
        shares.append([searches[place].of([name for _, name in part]) for place, part in by_camera])
    return shares


def join_pictures(database: Path, part: Path) -> None:
    """Add the features of a part to a database that knows its pictures by the same names."""
    with attached(database, part) as handle:
        for table in BY_PICTURE:
            rest = ", ".join(f"theirs.{name}" for name in _columns(handle, table)[1:])
            handle.execute(
                f"INSERT INTO {table} SELECT ours.image_id, {rest} FROM other.{table} AS theirs "
                "JOIN other.images AS named ON named.image_id = theirs.image_id "
                "JOIN main.images AS ours ON ours.name = named.name"
            )


def cut(database: Path, part: Path, names: Iterable[str], with_features: bool = True) -> None:
    """Make a part of a database: all but matches, and the features of some pictures alone."""
    colmap.create(part)
    with attached(part, database) as handle:
        _copy_tables(handle, but=(*BY_PICTURE, *BY_PAIR))
        if not with_features:
            return
        handle.execute("CREATE TEMP TABLE chosen (name)")
        handle.executemany("INSERT INTO chosen VALUES (?)", [(name,) for name in names])
        for table in BY_PICTURE:
            handle.execute(
                f"INSERT INTO {table} SELECT * FROM other.{table} WHERE image_id IN "
                "(SELECT image_id FROM main.images JOIN chosen USING (name))"
            )


def cut_for_mapping(database: Path, part: Path) -> None:
    """Copy what a mapper reads; COLMAP's open a database in a way that two can not share."""
    colmap.create(part)
    with attached(part, database) as handle:
        _copy_tables(handle, but=("descriptors", "matches"))


def join_pairs(database: Path, part: Path) -> None:
    """Add the matches of a part, whose pictures have the same numbers."""
    with attached(database, part) as handle:
        for table in BY_PAIR:
            handle.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")


@contextmanager
def attached(database: Path, other: Path) -> Iterator[sqlite3.Connection]:
    """Open a database with another one at its side, named `other`, in one transaction."""
    with closing(sqlite3.connect(database, timeout=_PATIENCE_S)) as handle, handle:
        handle.execute("ATTACH ? AS other", (str(other),))
        yield handle


def _copy_tables(handle: sqlite3.Connection, but: Sequence[str]) -> None:
    """Copy all rows of all tables but some from the database at the side."""
    tables = handle.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    for (table,) in tables.fetchall():
        if table not in (*but, "sqlite_sequence"):
            handle.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")


def _columns(handle: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in handle.execute(f"PRAGMA main.table_info({table})")]
