"""What is asked for, what came of it, and copies of earlier that are still right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maquette.errors import MaquetteError
from maquette.scene.atomic import write_json
from maquette.scene.paths import OWN_FOLDER, Scene

FOLDER = f"{OWN_FOLDER}/copies"
_FORM = 1  # raised when the same request gives another copy


@dataclass(frozen=True)
class Request:
    """A copy that is wanted.

    Attributes:
        kind: `splats` or `mesh`.
        source: The master of splats, or a mesh as .glb; below the scene.
        limit_bytes: The most that the copy may take.
        scale: Of the copy's units against the world; splats.
        is_placed: The .glb is in the frame that the scene's place gives; meshes.
    """

    kind: str
    pipeline: str
    source: str
    limit_bytes: int
    scale: float = 1.0
    is_placed: bool = False


@dataclass(frozen=True)
class Copy:
    """What came of a request.

    Attributes:
        url: Below the scene; "" where nothing could be made.
        lost_db: By which it shows the photos worse than its source; None where not measured.
        share: What it kept, for a person.
        facts: What a manifest tells of such a file, as `faces`.
        problem: Why there is none.
    """

    request: Request
    url: str = ""
    size_bytes: int = 0
    lost_db: float | None = None
    share: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


Make = Callable[[Scene, Request, Path], Copy]


def kept_or_made(scene: Scene, request: Request, suffix: str, make: Make) -> Copy:
    """The copy that is there, where it is of the same file and limit; else a new one.

    What can not be made is told in the copy's `problem`.
    """
    source = scene.root / request.source
    target = scene.root / FOLDER / request.pipeline / f"{source.stem}{suffix}"
    note, facts = target.with_name(f"{target.name}.json"), source.stat()
    made_of = {"form": _FORM, "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}
    made_of |= asdict(request)
    found = _kept(note, made_of, request)
    if found and (scene.root / found.url).is_file():
        return found
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = make(scene, request, target)
    except MaquetteError as error:
        target.unlink(missing_ok=True)
        return Copy(request, problem=error.what)
    write_json(note, {"made_of": made_of, "copy": {**asdict(made), "request": None}})
    return made


def _kept(note: Path, made_of: dict[str, Any], request: Request) -> Copy | None:
    try:
        read = json.loads(note.read_text(encoding="utf-8"))
        return Copy(**{**read["copy"], "request": request}) if read["made_of"] == made_of else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
