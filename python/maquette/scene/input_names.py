"""File names out of nested folders, flat and unique."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePath, PurePosixPath

MASKS = "masks"
_SKIPPED_FOLDERS = frozenset({"__macosx", "ground_truth"})
_REDUCED = re.compile(r"(.+)_(?:2|4|8|16)")
_LONGEST_BYTES = 180  # of 255, for folders' names may come before it
_SKIPPED_FILES = frozenset({"thumbs.db", "desktop.ini"})


def is_noise(path: PurePath) -> bool:
    """Whether a relative path is a system's leftover or lies in a folder that is no input."""
    folders = {part.lower() for part in path.parts[:-1]}
    hidden = any(part.startswith(".") and part not in (".", "..") for part in path.parts)
    return hidden or bool(folders & _SKIPPED_FOLDERS) or path.name.lower() in _SKIPPED_FILES


def is_mask(path: PurePath) -> bool:
    """Whether a relative path lies in a folder of masks."""
    return MASKS in (part.lower() for part in path.parts[:-1])


def smaller_copies(paths: Iterable[PurePath]) -> set[PurePath]:
    """Files of folders like `images_2` and `images_4` beside `images`, which hold the same names.

    So nerfstudio and others keep pictures that were made smaller by 2, 4 and 8.
    """
    folders: dict[PurePath, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(path.stem.casefold())
    copies = set()
    for folder, names in folders.items():
        found = _REDUCED.fullmatch(folder.name)
        whole = folders.get(folder.with_name(found[1])) if found else None
        if whole is not None and names <= whole:
            copies.add(folder)
    return {path for path in paths if path.parent in copies}


class Names:
    """Gives each path a flat name that no other has, also where case does not count."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._masks: Names | None = None

    def place(self, path: PurePath) -> PurePosixPath:
        """Where a file lies in `input/`: masks in `masks/`, named as their photos are."""
        if not is_mask(path):
            return PurePosixPath(self.unique(path))
        self._masks = self._masks or Names()
        parts = [part for part in path.parts if part.lower() != MASKS]
        return PurePosixPath(MASKS) / self._masks.unique(PurePosixPath(*parts))

    def unique(self, path: PurePath) -> str:
        """The file's own name; if taken, with its folders' names or a number before it."""
        parts = [
            part for part in PurePosixPath(path.as_posix()).parts if part not in ("/", "..", ".")
        ]
        parts = [_shortened(part) for part in parts]
        candidates = ["_".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        candidates += [f"{number}_{parts[-1]}" for number in range(2, len(self._taken) + 3)]
        chosen = next(name for name in candidates if name.casefold() not in self._taken)
        self._taken.add(chosen.casefold())
        return chosen


def _shortened(name: str) -> str:
    """A name that file systems take: of longer ones the beginning, a digest and the suffix."""
    if len(name.encode()) <= _LONGEST_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) < 16 else ""
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    kept = name.encode()[: _LONGEST_BYTES - len(suffix.encode()) - 13].decode(errors="ignore")
    return f"{kept}-{digest}{suffix}"
