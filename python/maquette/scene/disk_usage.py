"""What each stage of a scene keeps on the disk, who read it, and whether it can be made again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maquette.pipelines.pipeline import COMMON
from maquette.scene import stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

_YOURS = ("input", "masks", "runs")  # what a person gave, and training
_KEEP = "given, or trained: nothing makes it again"
_LEFT = (".new-", ".old-", ".tmp-")


@dataclass(frozen=True)
class Usage:
    """What one stage keeps, or a folder that is no stage's.

    Attributes:
        name: `pipeline stage`, the stage alone where all pipelines share it, or the folder.
        size_bytes: Of its files; one that several stages write counts for the first.
        readers: The finished stages that read it.
        remark: What it is to a person.
        pruned_bytes: Of its files that PRUNE=1 dropped.
    """

    name: str
    size_bytes: int
    readers: tuple[str, ...] = ()
    remark: str = ""
    pruned_bytes: int = 0


def of_scene(scene: Scene) -> list[Usage]:
    """All of a scene: stages in the order in which they ran, then the folders of no stage."""
    files = {
        path.relative_to(scene.root).as_posix(): path.lstat().st_size
        for path in scene.root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    owners = sorted(folder.name for folder in scene.stages.glob("*/") if folder.is_dir())
    records = [
        (owner, record)
        for owner in sorted(owners, key=lambda owner: (owner != COMMON, owner))
        for record in stage_records.read_all(scene, owner)
    ]
    found = [_of_stage(owner, record, records, files) for owner, record in records]
    folders: dict[str, int] = {}
    for path, size in files.items():
        folder = path.partition("/")[0]
        folders[folder] = folders.get(folder, 0) + size
    return found + [_of_folder(name, size) for name, size in sorted(folders.items())]


def _of_stage(
    owner: str,
    record: StageRecord,
    records: Iterable[tuple[str, StageRecord]],
    files: dict[str, int],
) -> Usage:
    """Take a stage's files out of `files`."""
    mine = _below(record.outputs, files)
    size = sum(files.pop(path) for path in mine)
    readers = tuple(
        other.stage
        for of, other in records
        if f"stage:{record.stage}" in other.inputs and (owner == COMMON or of == owner)
    )
    results = set(record.kinds)
    if mine and all(path in results for path in mine):
        remark = "results"
    elif mine and all(path.startswith("input/") for path in mine):
        remark = _KEEP
    else:
        remark = f"{record.step} makes it again" + (", results in it" if results & mine else "")
    name = record.stage if owner == COMMON else f"{owner} {record.stage}"
    gone = sum(record.outputs.get(path, 0) for path in record.pruned if path not in mine)
    if gone:
        remark = f"{gone / 1e6:.1f} MB pruned: UNTIL={record.stage} of {record.step} makes it again"
    return Usage(name, size, readers, remark, gone)


def _below(outputs: Iterable[str], files: dict[str, int]) -> set[str]:
    """The files that are outputs, or lie in one that is a folder."""
    found = set()
    names = set(outputs)
    for path in files:
        parents = (parent.as_posix() for parent in Path(path).parents)
        if path in names or any(parent in names for parent in parents):
            found.add(path)
    return found


def _of_folder(name: str, size: int) -> Usage:
    if name.startswith(_LEFT):
        return Usage(name, size, (), "left by a kill: the next step removes it")
    return Usage(f"{name}/" if "." not in name else name, size, (), _KEEP if name in _YOURS else "")
