"""A site in a folder: written, and removed again."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from maquette.errors import UsageError, shown_path
from maquette.publishing import record
from maquette.publishing.record import Record
from maquette.publishing.site import INDEX, MANIFEST, Content, Site, as_json, index_page, read_bytes
from maquette.scene.atomic import replacing, write_json
from maquette.scene.events import now


def write(site: Site, target: Path, model: str) -> Record:
    """Write the site; what an earlier publication left there and this one has not is removed.

    Raises:
        UsageError: a file is in the way that publish did not write.
    """
    index = index_page(site, site.link_picture).encode()
    files: dict[str, Content] = {**site.page, **site.files, MANIFEST: as_json(site.manifest)}
    files[INDEX] = index
    before = read(target)
    _require_room(target, files, before)
    digests = {name: _digest(read_bytes(content)) for name, content in files.items()}
    made = Record(model, digests, public=False, written_at=now())
    old = before.files if before else {}
    # The record comes first, so that a write that was killed can be taken back as well.
    write_json(target / record.FILE, Record(model, {**old, **digests}, written_at=now()).as_json())
    for name, content in files.items():
        with replacing(target / name) as temporary:
            temporary.write_bytes(read_bytes(content))
    _remove(target, {name: old[name] for name in old.keys() - digests.keys()})
    write_json(target / record.FILE, made.as_json())
    return made


def read(target: Path) -> Record | None:
    """The record of what was published there; None where nothing was."""
    try:
        return record.parse((target / record.FILE).read_bytes(), str(target / record.FILE))
    except OSError:
        return None


def remove(target: Path, known: Record) -> list[str]:
    """Remove what was published, and folders that become empty; returns what was changed since.

    Files that somebody changed stay.
    """
    kept = _remove(target, known.files)
    (target / record.FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        target.rmdir()
    return kept


def _remove(target: Path, files: dict[str, str]) -> list[str]:
    kept, folders = [], set()
    for name, digest in files.items():
        path = target / name
        if not path.is_file():
            continue
        if _digest(path.read_bytes()) != digest:
            kept.append(name)
            continue
        path.unlink()
        folders.add(path.parent)
    for folder in folders - {target}:
        with contextlib.suppress(OSError):  # not empty: somebody's own files are in it
            folder.rmdir()
    return sorted(kept)


def _require_room(target: Path, files: dict[str, Content], before: Record | None) -> None:
    known = before.files if before else {}
    foreign = sorted(name for name in files if name not in known and (target / name).exists())
    if target.exists() and not target.is_dir():
        foreign = [target.name]
    if foreign:
        raise UsageError(
            f"`{shown_path(target / foreign[0])}` is there, and publish did not write it",
            hint="give an empty or a new folder: TO=site",
        )


def _digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
