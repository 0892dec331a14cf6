"""What a `.zip` of photos holds: its files by the paths that were meant."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import PurePosixPath

from maquette.scene.input_names import is_noise, smaller_copies

_UTF8 = 0x800  # the flag of names in UTF-8; older packers leave it out


def wanted(archive: zipfile.ZipFile) -> list[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """Files with their paths, without leftovers; of pictures in several sizes the largest."""
    found = [(path_of(item), item) for item in archive.infolist()]
    files = [(path, item) for path, item in found if path and not is_noise(path)]
    copies = smaller_copies([path for path, _ in files])
    return [(path, item) for path, item in files if path not in copies]


def path_of(item: zipfile.ZipInfo) -> PurePosixPath | None:
    """The path of a file; None for a folder. Windows' separators and unmarked UTF-8 count."""
    name = item.filename
    if not item.flag_bits & _UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    if "/" not in name:
        name = name.replace("\\", "/")
    return None if name.endswith("/") else PurePosixPath(name)
