"""Where `input/` came from, and whether INPUT names something else by now."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TypeVar

from maquette.scene import zip_members
from maquette.scene.atomic import write_json
from maquette.scene.input_names import Names, is_mask, is_noise, smaller_copies
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

Value = TypeVar("Value")


def is_url(text: str) -> bool:
    """Whether an input names a web address rather than a path."""
    return "://" in text


def everything_below(folder: Path) -> list[Path]:
    """All files of a folder and its subfolders, sorted, without hidden ones and leftovers.

    Of pictures that are there in several sizes the largest.
    """
    found = _found_below(folder)
    copies = smaller_copies(found)
    return [path for path in found if path not in copies]


def copies_below(folder: Path) -> list[str]:
    """Folders whose pictures `everything_below` leaves out as smaller copies."""
    return sorted({path.parent.name for path in smaller_copies(_found_below(folder))})


def _found_below(folder: Path) -> list[Path]:
    every = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in every if not is_noise(path.relative_to(folder)))


def files_below(folder: Path) -> list[Path]:
    """The same without masks."""
    return [path for path in everything_below(folder) if not is_mask(path.relative_to(folder))]


def masks_below(folder: Path) -> list[Path]:
    """The files of the folders of masks alone."""
    return [path for path in everything_below(folder) if is_mask(path.relative_to(folder))]


def fingerprint(wanted: str) -> str:
    """Tell a source apart cheaply: its address, or names, sizes and times of its files."""
    if is_url(wanted):
        return hashlib.sha256(wanted.encode()).hexdigest()
    source = Path(wanted).expanduser()
    files = everything_below(source) if source.is_dir() else [source] * source.is_file()
    facts = [
        [path.relative_to(source.parent).as_posix(), path.stat().st_size, path.stat().st_mtime_ns]
        for path in files
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def note(scene: Scene, found: str) -> None:
    """Write down the fingerprint of what `input/` was filled from."""
    write_json(_note(scene), {"fingerprint": found})


def noted(scene: Scene) -> str:
    """The fingerprint of what `input/` was filled from; empty where nobody knows."""
    try:
        return str(json.loads(_note(scene).read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_another(scene: Scene, wanted: str, record: StageRecord) -> bool:
    """Whether a step that is told this input would fill `input/` with something else.

    Args:
        wanted: As the step is told it; one that is not here, or empty, changes nothing yet.
        record: Of the stage that has checked what `input/` holds.
    """
    if is_url(wanted):
        return fingerprint(wanted) != noted(scene)
    source = Path(wanted).expanduser()
    if not wanted or not source.exists() or source.resolve() == scene.input.resolve():
        return False
    if fingerprint(wanted) == noted(scene):
        return False
    if zipfile.is_zipfile(source):
        return _sizes_in(source) != _below_input(scene, record.outputs)
    return _digests_of(source) != _below_input(scene, record.inputs)


def _sizes_in(archive: Path) -> dict[str, int]:
    """Size of each file that would be unpacked; as told, for it is only a question."""
    names = Names()
    with zipfile.ZipFile(archive) as opened:
        members = zip_members.wanted(opened)
    return {str(names.place(path)): item.file_size for path, item in members}


def _digests_of(source: Path) -> dict[str, str]:
    """SHA-256 of each file, by the name that it would have in `input/`."""
    names, files = Names(), everything_below(source) if source.is_dir() else [source]
    folder = source if source.is_dir() else source.parent
    return {str(names.place(path.relative_to(folder))): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _below_input(scene: Scene, found: dict[str, Value]) -> dict[str, Value]:
    folder = scene.relative(scene.input) + "/"
    return {
        path.removeprefix(folder): value for path, value in found.items() if path.startswith(folder)
    }


def _note(scene: Scene) -> Path:
    return scene.stages / "input_source.json"
