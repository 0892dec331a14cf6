"""File names out of nested folders, flat and unique."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

_SKIPPED_FOLDERS = frozenset({"__macosx", "ground_truth", "masks"})
_SKIPPED_FILES = frozenset({"thumbs.db", "desktop.ini"})


def is_noise(path: PurePath) -> bool:
    """Whether a relative path is a system's leftover or lies in a folder that is not photos."""
    folders = {part.lower() for part in path.parts[:-1]}
    hidden = any(part.startswith(".") and part not in (".", "..") for part in path.parts)
    return hidden or bool(folders & _SKIPPED_FOLDERS) or path.name.lower() in _SKIPPED_FILES


class Names:
    """Gives each path a flat name that no other has, also where case does not count."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, path: PurePath) -> str:
        """The file's own name; if taken, with its folders' names or a number before it."""
        parts = [
            part for part in PurePosixPath(path.as_posix()).parts if part not in ("/", "..", ".")
        ]
        candidates = ["_".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        candidates += [f"{number}_{parts[-1]}" for number in range(2, len(self._taken) + 3)]
        chosen = next(name for name in candidates if name.casefold() not in self._taken)
        self._taken.add(chosen.casefold())
        return chosen
