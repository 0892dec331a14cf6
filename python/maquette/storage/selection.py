"""Which files of a scene take part: ONLY=, the ignore files, and never our own leftovers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from maquette.scene.paths import OWN_FOLDER
from maquette.text_files import read_text

IGNORE_FILES = (".maquetteignore", ".ovhaiignore")
REPORTS = ("report.json", "report.html")
RESULTS = ("results/*", *REPORTS, "stages/region.png")
CHECKPOINTS = ("runs/*",)
_BY_WORD = {"results": RESULTS, "checkpoints": CHECKPOINTS}
_LEFTOVERS = (".tmp-", ".gathered-input", ".DS_Store")
_JOURNALS = ("-journal", "-wal", "-shm")

Selects = Callable[[str], bool]


@dataclass(frozen=True)
class LocalFile:
    """A file as the scan found it: size in bytes, time of last change."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Scan:
    """The files that take part, and the paths of symbolic links and odd names, which do not."""

    files: dict[str, LocalFile]
    left_out: tuple[str, ...] = ()


def selection(root: Path, only: str = "", project: Path | None = None) -> Selects:
    """Build the test of a path (relative, with slashes).

    Args:
        root: The scene's folder; its ignore files speak of paths below it.
        only: `results`, `checkpoints` or a glob; empty for everything.
        project: Holds ignore files that speak of paths below it, when the scene lies there.
    """
    patterns = _BY_WORD.get(only, (only,) if only else ())
    ignored = list(_ignore_rules(root, project))

    @cache  # both sides name mostly the same paths
    def selects(path: str) -> bool:
        if is_own_or_leftover(path) or (patterns and not _fits(path, patterns)):
            return False
        return not any(rule(path) for rule in ignored)

    return selects


def is_own_or_leftover(path: str) -> bool:
    """Whether a path is bookkeeping or a half-written file, which never moves."""
    parts = path.split("/")
    return (
        parts[0] == OWN_FOLDER
        or any(part.startswith(_LEFTOVERS) for part in parts)
        or parts[-1].endswith(tuple(f".db{suffix}" for suffix in _JOURNALS))
    )


def scan(root: Path, selects: Selects) -> Scan:
    """List the files below `root` that take part; none when there is no such folder."""
    files: dict[str, LocalFile] = {}
    left_out: list[str] = []
    for entry, path in _walk(root, ""):
        if not selects(path):
            continue
        if entry.is_file(follow_symlinks=False) and _is_text(path):
            with suppress(FileNotFoundError):  # removed since its folder was listed
                facts = entry.stat(follow_symlinks=False)
                files[path] = LocalFile(facts.st_size, facts.st_mtime_ns)
        else:
            left_out.append(path)
    return Scan(files, tuple(sorted(left_out)))


def facts_of(file: Path) -> LocalFile | None:
    """A file as it is now, also if it is a link; None when there is none."""
    try:
        facts = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return LocalFile(facts.st_size, facts.st_mtime_ns)


def _walk(folder: Path, start: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        path = start + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not is_own_or_leftover(path):
                yield from _walk(Path(entry.path), path + "/")
        else:
            yield entry, path


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, item) or fnmatchcase(name, item) for item in patterns)


def _ignore_rules(root: Path, project: Path | None) -> Iterator[Selects]:
    yield from _rules_of(root, "")
    if project is not None and root.is_relative_to(project):
        yield from _rules_of(project, root.relative_to(project).as_posix() + "/")


def _rules_of(folder: Path, start: str) -> Iterator[Selects]:
    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            from pathspec import GitIgnoreSpec

            spec = GitIgnoreSpec.from_lines(read_text(file).splitlines())
            yield lambda path, spec=spec: spec.match_file(start + path)  # type: ignore[misc]
