"""The one door to pycolmap: quiet, CPU, and never told to use what would abort the process.

pycolmap 4 can end the whole process when asked for a learned feature or matcher, or download a
vocabulary tree for loop detection. Only SIFT, brute force and explicit pair lists pass here.
Importing it also sets its own signal handlers, which end the process with a stack trace; ours
are put back, so that SIGTERM still means: stop politely.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.scene import colmap_sizes

_TRIES = 100
_PATIENCE_S = 300.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_before = {number: signal.getsignal(number) for number in _SIGNALS}

import pycolmap as pycolmap  # noqa: E402


def hush() -> None:
    """Show COLMAP's errors alone, on the terminal; no files in the temporary folder.

    `pycolmap.bundle_adjustment` sets the first two back, so this is to be said again after it.
    """
    pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR.value
    pycolmap.logging.logtostderr = True
    for level in pycolmap.logging.Level.__members__.values():
        pycolmap.logging.set_log_destination(level, "")


hush()
if threading.current_thread() is threading.main_thread():
    for _number, _handler in _before.items():
        signal.signal(_number, _handler)


def threads() -> int:
    """How many threads this process may use; a container's share, not the machine's."""
    return len(os.sched_getaffinity(0))


@contextmanager
def opened(database: Path) -> Iterator[Any]:
    """Open a COLMAP database for a block, while other processes may open it too."""
    with _open(database) as handle:
        yield handle


def _open(database: Path) -> Any:
    """COLMAP writes when it opens, and fails at once where another process does so just then."""
    for _ in range(_TRIES):
        try:
            return pycolmap.Database.open(database)
        except RuntimeError:
            if not _waited(database):
                raise
    return pycolmap.Database.open(database)


def _waited(database: Path) -> bool:
    """Wait until nobody writes; False where it is no database."""
    try:
        with closing(sqlite3.connect(database, timeout=_PATIENCE_S)) as handle:
            handle.execute("BEGIN IMMEDIATE")
            handle.execute("SELECT count(*) FROM sqlite_master")
            handle.rollback()
    except sqlite3.Error:
        return False
    return True


def create(database: Path) -> None:
    """Make an empty COLMAP database; pycolmap's importers want it to exist."""
    _open(database).close()


def copy(source: Path, target: Path) -> None:
    """Copy a database with all that was committed, also what still stands in its log."""
    with sqlite3.connect(source) as reader, sqlite3.connect(target) as writer:
        reader.backup(writer)
    reader.close()
    writer.close()


def read_model(folder: Path, again: str) -> Any:
    """Open a COLMAP model whose files are whole; COLMAP may read a cut one for ever.

    Args:
        again: What makes the model again, as the end of a sentence that a person reads.

    Raises:
        BadInput: a file is damaged, or missing.
    """
    wrong, cause = colmap_sizes.damage(folder), None
    if not wrong:
        try:
            return pycolmap.Reconstruction(folder)
        except (ValueError, RuntimeError, IndexError) as error:
            wrong, cause = f"the COLMAP model `{folder}` can not be read: {error}", error
    raise BadInput(wrong, hint=f"copy it again, or {again}") from cause


def image_names(database: Path) -> list[str]:
    """The images of a database, by name."""
    with opened(database) as handle:
        return sorted(image.name for image in handle.read_all_images())


def image_ids(database: Path) -> dict[str, int]:
    """The number of each image of a database, by name."""
    with opened(database) as handle:
        return {image.name: image.image_id for image in handle.read_all_images()}


def settle(database: Path) -> None:
    """Fold SQLite's log into the file, so that the one file is the whole database."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
