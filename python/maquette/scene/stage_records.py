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
        forced: How often a person had the stage done again.
        lineage: The same of it and of all that it comes from; it counts for its readers' keys.
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
    forced: int = 0
    lineage: int = 0
    schema_version: int = SCHEMA_VERSION


def read(scene: Scene, stage: str) -> StageRecord | None:
    """Read a stage's record; a missing, damaged, foreign or forgotten one counts as none."""
    try:
        record = StageRecord(**_content(scene, stage))
    except TypeError:
        return None
    return record if record.key else None


def times_forced(scene: Scene, stage: str) -> int:
    """How often a person had a stage done again, also when its record is forgotten."""
    return int(_content(scene, stage).get("forced", 0))


def write(scene: Scene, record: StageRecord) -> None:
    """Write a stage's record: its last act, so that a record always means a finished stage."""
    write_json(scene.stages / f"{record.stage}.json", asdict(record))


def forget(scene: Scene, stage: str, forced: bool = False) -> None:
    """Make a stage run again; `forced` if a person asked for it, which is remembered."""
    times = times_forced(scene, stage) + forced
    if not times:
        (scene.stages / f"{stage}.json").unlink(missing_ok=True)
        return
    empty = StageRecord(stage, "", "", {}, {}, {}, "", 0.0, forced=times)
    write_json(scene.stages / f"{stage}.json", asdict(empty))


def _content(scene: Scene, stage: str) -> dict[str, Any]:
    try:
        content = json.loads((scene.stages / f"{stage}.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def outputs_stand(scene: Scene, record: StageRecord) -> bool:
    """Whether every output is still there with the size it had."""
    for relative, size in record.outputs.items():
        path = scene.root / relative
        if not path.exists() or (size >= 0 and path.stat().st_size != size):
            return False
    return True
