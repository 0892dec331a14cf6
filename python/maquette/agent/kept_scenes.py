"""What a machine keeps of scenes whose shards it did, so that the next shard brings less.

Each scene has a place: what shards read, folders at work, and a file that tells when it was last
used. Who begins a shard removes what no shard has used for long.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KNOWN, WORK = "known", "work"
_USED = "used"
_KEPT_S = 14 * 24 * 3600.0


@contextmanager
def in_use(folder: Path, place: Path) -> Iterator[None]:
    """Hold a scene's place below `folder`, which nobody removes meanwhile; old ones go."""
    handle = _held(place)
    try:
        (place / _USED).touch()
        _sweep(folder, time.time() - _KEPT_S)
        yield
    finally:
        os.close(handle)


def _held(place: Path) -> int:
    """Open a place and share its lock; it may be removed until that is had."""
    while True:
        place.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            handle = os.open(place, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), place.stat()):
                    return handle
            os.close(handle)


def _sweep(folder: Path, before: float) -> None:
    """Remove places that were last used before a time, but those in use."""
    for at, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in (KNOWN, WORK)]
        if _USED in files:
            with suppress(OSError):
                _remove_old(Path(at), before)


def _remove_old(place: Path, before: float) -> None:
    """Remove a place that is old and that none holds.

    Raises:
        OSError: it is held, or was removed by somebody else.
    """
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (place / _USED).stat().st_mtime < before:
            for name in (KNOWN, WORK):
                shutil.rmtree(place / name, ignore_errors=True)
            (place / _USED).unlink()
            place.rmdir()
    finally:
        os.close(handle)
