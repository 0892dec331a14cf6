"""The files that a build sees: chosen one by one, so that nothing private gets into an image."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from maquette.containers.variants import IMAGES
from maquette.errors import NotFound
from maquette.resources import CARRIED, PACKAGE, ROOT

WEB = PACKAGE / "viewer" / "web"  # what the web page is built of: no image shows it
_SKIPPED = ("__pycache__", ".egg-info")


def pack(image: str, wheels: Path | None = None, extra_ca: Path | None = None) -> IO[bytes]:
    """Make the build context of `images/<image>/` as a tar file.

    The same files give the same bytes: owners and times are left out, so the daemon's cache
    holds on every machine.

    Args:
        wheels: Folder of wheels that the build prefers to an index.
        extra_ca: Certificates in PEM form that the build trusts besides the usual ones.

    Raises:
        NotFound: a folder or file that was named is not there.
    """
    packed = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, name in _sources(image):
            _add(tar, path, name)
        for path in _wheels(wheels):
            _add(tar, path, f"wheels/{path.name}")
        _add_text(tar, "wheels/.keep", b"")
        _add_text(tar, "extra_ca/extra.crt", _certificates(extra_ca))
    packed.seek(0)
    return packed


def _sources(image: str) -> Iterator[tuple[Path, str]]:
    """Each file and its name in the context, the same from a checkout and from a wheel."""
    for path in _files_below(IMAGES / image):
        yield path, f"images/{path.relative_to(IMAGES).as_posix()}"
    for path in _files_below(PACKAGE):
        if CARRIED not in path.parents and WEB not in path.parents:
            yield path, f"python/maquette/{path.relative_to(PACKAGE).as_posix()}"
    for name in ("python/constraints.txt", "python/pyproject.toml"):
        yield ROOT / name, name


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.endswith(_SKIPPED) for part in parts):
            yield path


def _wheels(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(folder.glob("*.whl"))
    if not found:
        raise NotFound(f"there are no wheels in `{folder}` (WHEELS)")
    return found


def _certificates(file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(
            f"there is no certificate file `{file}` (EXTRA_CA)", detail=error.strerror or ""
        ) from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with open(path, "rb") as file:
        entry = tarfile.TarInfo(name)
        entry.size = path.stat().st_size
        entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        tar.addfile(entry, file)


def _add_text(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
