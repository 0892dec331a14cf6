"""Unpacking a `.zip` from a stranger."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from maquette.errors import BadInput
from maquette.scene import zip_members
from maquette.scene.events import Progress
from maquette.scene.input_names import Names

_MAX_RATIO = 200  # photos and videos hardly shrink; a bomb shrinks a thousandfold
_RATIO_FREE_BYTES = 10 << 20
_SHARE_OF_DISK = 0.8
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack the files of `archive` flat into `folder`, under unique names.

    Raises:
        BadInput: damaged, encrypted, larger than the disk or a bomb, or a member that would
            leave the folder (absolute, `..`, link).
    """
    try:
        with zipfile.ZipFile(archive) as source:
            for member in source.infolist():
                _check_member(archive, member)
            members = zip_members.wanted(source)
            _check(archive, [member for _, member in members], shutil.disk_usage(folder).free)
            names = Names()
            for done, (path, member) in enumerate(members, start=1):
                target = folder / names.place(path)
                target.parent.mkdir(exist_ok=True)
                _unpack_one(source, member, target)
                progress.step("unpack", done, len(members))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise BadInput(
            f"the archive is damaged: `{archive.name}`: {error}",
            hint="make or download it again; `unzip -t FILE` checks one",
        ) from error


def _check(archive: Path, members: list[zipfile.ZipInfo], free_bytes: int) -> None:
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > _RATIO_FREE_BYTES and total > _MAX_RATIO * max(packed, 1):
        raise _refused(archive, f"{packed} bytes would unpack to {total}, as a zip bomb does")
    if total > _SHARE_OF_DISK * free_bytes:
        raise _refused(archive, f"it unpacks to {total} bytes, and {free_bytes} are free")
    if not members:
        raise _refused(archive, "it is empty")


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    raw = member.orig_filename.replace("\\", "/")
    path = PurePosixPath(raw)
    if path.is_absolute() or ".." in path.parts or raw[1:2] == ":" or "\0" in raw:
        raise _refused(archive, f"`{raw}` points outside the archive")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _refused(archive, f"`{raw}` is a link")
    if member.flag_bits & 0x1:
        raise _refused(archive, f"`{raw}` is encrypted", "unpack it yourself and give the folder")


def _unpack_one(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    written = 0
    with source.open(member) as packed, open(target, "wb") as file:
        while chunk := packed.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > member.file_size:
                raise zipfile.BadZipFile(f"{member.filename} is longer than declared")
            file.write(chunk)


def _refused(archive: Path, why: str, hint: str = "pack only the photos or one video") -> BadInput:
    return BadInput(f"the archive can not be used: `{archive.name}`: {why}", hint=hint)
