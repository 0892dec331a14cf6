"""`stages/<stage>.json`: what a finished stage did, from what, and how well."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StageRecord:
    """One finished stage.

    Attributes:
        key: Content key: a hash of inputs, parameters and the stage's code version.
        outputs: Path below the scene → size in bytes, or -1 for "must only exist".
        numbers: Counts and quality numbers, shown to the person.
    """

    stage: str
    step: str
    key: str
    parameters: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, int]
    started_at: str
    wall_s: float
    numbers: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


def read(scene: Scene, stage: str) -> StageRecord | None:
    """Read a stage's record; a missing, damaged or foreign one counts as none."""
    try:
        return StageRecord(**json.loads((scene.stages / f"{stage}.json").read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(scene: Scene, record: StageRecord) -> None:
    """Write a stage's record: its last act, so that a record always means a finished stage."""
    write_json(scene.stages / f"{record.stage}.json", asdict(record))


def forget(scene: Scene, stage: str) -> None:
    """Remove a stage's record, so that the stage runs again."""
    (scene.stages / f"{stage}.json").unlink(missing_ok=True)


def outputs_stand(scene: Scene, record: StageRecord) -> bool:
    """Whether every output is still there with the size it had."""
    for relative, size in record.outputs.items():
        path = scene.root / relative
        if not path.exists() or (size >= 0 and path.stat().st_size != size):
            return False
    return True
