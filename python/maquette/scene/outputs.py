"""`results/<pipeline>/outputs.json`: what a pipeline made for a person, of which kind, and how.

It is written from the stages' records, and again when it is missing or damaged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maquette.scene import stage_records
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene

SCHEMA_VERSION = 1
FILE = "outputs.json"
MESH, POINTS, PICTURE, OTHER = "mesh", "points", "picture", "other"
SPLATS = "splats"
GROUND = "ground"  # a mesh to walk on, that is not looked at
REDUCED_MESH = "reduced_mesh"  # a copy of a mesh with fewer faces: never measured in its place
_BY_SUFFIX = {
    ".ply": MESH, ".glb": MESH, ".obj": MESH, ".png": PICTURE, ".jpg": PICTURE,
    ".splat": SPLATS, ".sog": SPLATS, ".spz": SPLATS,
}  # fmt: skip
_BOOKKEEPING = (FILE, "evaluation.json")


@dataclass(frozen=True)
class Output:
    """One result.

    Attributes:
        path: Below the scene.
        kind: What it is; a page or an add-on knows by it how to show the file.
        stage: Who made it; "" for a file that no stage of ours tells of.
        step: That stage's step.
        size_bytes: When it was listed.
    """

    path: str
    kind: str
    stage: str
    step: str
    size_bytes: int


def write(scene: Scene) -> None:
    """Write the list of the scene's pipeline from the records of its stages."""
    content = {"schema_version": SCHEMA_VERSION, "pipeline": scene.pipeline}
    entries = [asdict(output) for output in _recorded(scene)]
    write_json(scene.results / FILE, {**content, "outputs": entries})


def renew(scene: Scene) -> None:
    """Write the list unless it is as it would be: a kill may come between a record and its list."""
    if _written(scene) != list(_recorded(scene)):
        write(scene)


def read(scene: Scene) -> list[Output]:
    """What the pipeline made and what still lies there, in the order in which it was made.

    Files that others put there, an upstream program or a person, come last; their kind is told by
    their suffix.
    """
    known = _written(scene)
    if known is None:
        known = list(_recorded(scene))
        if known:
            write(scene)
    found = [output for output in known if (scene.root / output.path).is_file()]
    listed = {output.path for output in found}
    return [*found, *(other for other in _others(scene) if other.path not in listed)]


def replace(scene: Scene, owner: str, stages: Iterable[str]) -> None:
    """Drop what stages made that others have now made in their place, by another engine.

    Their records go, and those of their results that the others did not write anew.
    """
    earlier = [record for name in sorted(stages) if (record := stage_records.read(scene, name))]
    if not earlier:
        return
    for record in earlier:
        stage_records.forget(scene, owner, record.stage)
    standing = {output.path for output in _recorded(scene)}
    for path in {path for record in earlier for path in record.outputs} - standing:
        if path.startswith(scene.relative(scene.results)):
            (scene.root / path).unlink(missing_ok=True)
    write(scene)


def first_path(found: Iterable[Output], kind: str) -> str:
    """The path of the first result of a kind, below the scene; "" where there is none."""
    return next((output.path for output in found if output.kind == kind), "")


def pipelines_of(root: Path) -> list[str]:
    """The pipelines that have results or runs in a scene, the one with the newest first."""
    folders = [*root.glob("results/*/"), *root.glob("runs/*/")]
    newest: dict[str, float] = {}
    for folder in folders:
        newest[folder.name] = max(newest.get(folder.name, 0.0), folder.stat().st_mtime)
    return sorted(newest, key=lambda name: -newest[name])


def kind_of(path: str) -> str:
    """The kind of a file that nobody tells of, by its suffix."""
    return _BY_SUFFIX.get(Path(path).suffix.lower(), OTHER)


def _recorded(scene: Scene) -> Iterator[Output]:
    for record in stage_records.read_all(scene, scene.pipeline):
        for path, kind in record.kinds.items():
            if (scene.root / path).is_file():
                size = (scene.root / path).stat().st_size
                yield Output(path, kind, record.stage, record.step, size)


def _written(scene: Scene) -> list[Output] | None:
    """What the file tells; None when it is missing or damaged."""
    try:
        content: Any = json.loads((scene.results / FILE).read_text(encoding="utf-8"))
        return [Output(**entry) for entry in content["outputs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _others(scene: Scene) -> Iterator[Output]:
    folder = scene.results
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and path.name not in _BOOKKEEPING and not path.name.startswith("."):
            name = scene.relative(path)
            yield Output(name, kind_of(name), "", "", path.stat().st_size)
