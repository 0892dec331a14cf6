"""Folders and files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")


def _new(path: Path) -> Path:
    return path.with_name(f".new-{path.name}")


def _old(path: Path) -> Path:
    return path.with_name(f".old-{path.name}")


def remove(path: Path) -> None:
    """Remove a file, link or folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def recover(path: Path) -> None:
    """Undo a replacement that a kill cut between its two renames, and drop leftovers.

    The temporary names are fixed, so what a killed process left is found here.
    """
    if _old(path).exists() and not path.exists():
        _old(path).replace(path)
    remove(_old(path))
    for leftover in path.parent.glob(f".new-{path.name}*"):  # SQLite adds -wal, -shm, -journal
        remove(leftover)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    _new(path).mkdir()
    try:
        yield _new(path)
        put_in_place(_new(path), path)
    finally:
        remove(_new(path))


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`, not yet existing; the file made there replaces `path`.

    Unlike `scene.atomic.replacing`, also the companions of an SQLite file are cleaned up: the
    log that a killed process left beside the old database would corrupt the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    try:
        yield _new(path)
        with open(_new(path), "rb") as written:
            os.fsync(written.fileno())
        for suffix in _SQLITE_COMPANIONS:
            remove(path.with_name(path.name + suffix))
        _new(path).replace(path)
    finally:
        recover(path)


def put_in_place(made: Path, path: Path) -> None:
    """Rename the finished folder `made` to `path`, replacing what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(_old(path))
    made.replace(path)
    remove(_old(path))
