"""Moves of what an older layout laid elsewhere; each is a rename, so a kill loses nothing."""

from __future__ import annotations

from pathlib import Path

_MOVING = ".moving"  # a folder on its way from `runs/x` to `runs/x/x`


def move_folder(folder: Path, owner: str) -> list[Path]:
    """`runs/<group>` becomes `runs/<owner>/<group>`, also where both have one name.

    Returns:
        The files that could not go there: others are there already.
    """
    home = folder.parent / owner
    target = home / folder.name.removesuffix(_MOVING)
    if folder == home:
        folder = folder.rename(folder.with_name(folder.name + _MOVING))
    if not target.exists():
        home.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        return []
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    left = [path for path in files if not move(path, target / path.relative_to(folder))]
    remove_if_empty(folder)
    return left


def move(path: Path, target: Path) -> bool:
    """Move a file; one that is there already stays, and so does this one unless it is the same.

    Returns:
        Whether the file is no longer where it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        path.rename(target)
    elif _is_same(path, target):
        path.unlink()
    return not path.exists()


def _is_same(one: Path, other: Path) -> bool:
    import filecmp

    return filecmp.cmp(one, other, shallow=False)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds no files, with all folders below it."""
    if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()
