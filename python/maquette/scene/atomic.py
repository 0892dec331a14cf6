"""Writes that a reader, a crash or a full disk never sees half done."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PREFIX = ".tmp-"
_ABANDONED_S = 600.0  # nobody writes for so long to a file of which nothing has come


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` when the block succeeds.

    The temporary keeps the suffix of `path`, because image and mesh writers choose their
    format by it. On any error the temporary is removed and `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder in `place`, which must exist, and remove it after the block.

    Only who holds the scene makes one (`scene/lock.py`): the next who does so removes what a kill
    left.
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place) as name:
        yield Path(name)


def remove_abandoned(folder: Path) -> int:
    """Remove, at any depth, what killed processes left half done; returns how much.

    The caller holds the scene, so nobody works in a temporary folder now.
    """
    limit, count = time.time() - _ABANDONED_S, 0
    for path in list(folder.rglob(f"{_PREFIX}*")):
        with suppress(OSError):  # whose it is may rename it now
            if path.is_dir():
                shutil.rmtree(path)
                count += 1
            elif path.stat().st_mtime < limit:
                path.unlink()
                count += 1
    return count


def write_text(path: Path, text: str) -> None:
    """Replace the file's content with `text` (UTF-8) in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace the file's content with `value` as indented JSON in one step; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
