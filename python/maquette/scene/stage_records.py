"""`stages/<pipeline or common>/<stage>.json`: what a finished stage did, from what, how well."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maquette.pipelines.pipeline import COMMON
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene

SCHEMA_VERSION = 1
_HIGHEST_STAGE_VERSION = 50


@dataclass(frozen=True)
class StageRecord:
    """One finished stage.

    Attributes:
        key: Content key: a hash of inputs, parameters and the stage's code version.
        outputs: Path below the scene → size in bytes, or -1 for "must only exist".
        kinds: Of those outputs that are results for a person: path → kind.
        numbers: Counts and quality numbers, shown to the person.
        forced: How often a person had the stage done again.
        lineage: The same of it and of all that it comes from; it counts for its readers' keys.
        peak_bytes, gpu_peak_bytes: The most memory it held, see `stages.memory`; 0: not known.
        pruned: Outputs that PRUNE=1 dropped: they need not be there until a stage reads them.
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
    kinds: dict[str, str] = field(default_factory=dict)
    peak_bytes: int = 0
    gpu_peak_bytes: int = 0
    pruned: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION


def content_key(
    stage: str, version: int, parameters: dict[str, Any], inputs: dict[str, str]
) -> str:
    """Hash what decides a stage's result: code version, parameters and the keys of its inputs."""
    deciding = [stage, version, parameters, inputs]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def key_with(record: StageRecord, inputs: dict[str, str]) -> str:
    """The key of a record whose inputs are named anew, where its files have moved.

    The stage's version is the one that gives the old key.
    """
    for number in range(_HIGHEST_STAGE_VERSION):
        known = (record.stage, number, record.parameters)
        if content_key(*known, record.inputs) == record.key:
            return content_key(*known, inputs)
    return record.key


def read(scene: Scene, stage: str) -> StageRecord | None:
    """Read the record of a stage of the scene's pipeline, or of one that all pipelines share.

    A missing, damaged, foreign or forgotten one counts as none.
    """
    record = parse(_content(scene, stage))
    return record if record and record.key else None


def parse(content: dict[str, Any]) -> StageRecord | None:
    """A record from its JSON object; None when that is none of ours."""
    try:
        return StageRecord(**content)
    except TypeError:
        return None


def read_all(scene: Scene, owner: str) -> list[StageRecord]:
    """The records of all finished stages of a pipeline, or of the COMMON ones, oldest first."""
    files = scene.records(owner).glob("[!.]*.json")  # a killed process leaves hidden ones
    names = sorted(path.stem for path in files)
    found = [read(scene.of(owner), name) for name in names]
    return sorted((record for record in found if record), key=lambda record: record.started_at)


def times_forced(scene: Scene, stage: str) -> int:
    """How often a person had a stage done again, also when its record is forgotten."""
    return int(_content(scene, stage).get("forced", 0))


def path(scene: Scene, owner: str, stage: str) -> Path:
    """Where the record of a stage lies."""
    return scene.records(owner) / f"{stage}.json"


def write(scene: Scene, owner: str, record: StageRecord) -> None:
    """Write a stage's record: its last act, so that a record always means a finished stage."""
    write_json(scene.records(owner) / f"{record.stage}.json", asdict(record))


def forget(scene: Scene, owner: str, stage: str, forced: bool = False) -> None:
    """Make a stage run again; `forced` if a person asked for it, which is remembered.

    Its shards go on where they were, unless it is forced.
    """
    times = times_forced(scene.of(owner), stage) + forced
    if forced:
        drop_shards(scene, owner, stage)
    if not times:
        (scene.records(owner) / f"{stage}.json").unlink(missing_ok=True)
        return
    write(scene, owner, StageRecord(stage, "", "", {}, {}, {}, "", 0.0, forced=times))


def drop_shards(scene: Scene, owner: str, stage: str) -> None:
    """Remove the records of a stage's shards, and what else it keeps beside them."""
    shutil.rmtree(scene.records(owner) / stage, ignore_errors=True)


def _content(scene: Scene, stage: str) -> dict[str, Any]:
    for owner in (scene.pipeline, COMMON):
        content = _json_object(scene.records(owner) / f"{stage}.json")
        if content is not None:
            return content
    return {}


def _json_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def outputs_stand(scene: Scene, record: StageRecord) -> bool:
    """Whether every output is still there with the size it had, or was pruned."""
    return not spoilt_output(scene, record)


def spoilt_output(scene: Scene, record: StageRecord) -> str:
    """The first output, below the scene, that is gone or has another size; "" where all stand.

    What was pruned counts as standing.
    """
    pruned = set(record.pruned)
    return _first_spoilt(scene, record, (path for path in record.outputs if path not in pruned))


def lacking_output(scene: Scene, record: StageRecord) -> str:
    """The first output that was pruned and is gone; "" where who reads them finds all of them."""
    return _first_spoilt(scene, record, record.pruned)


def _first_spoilt(scene: Scene, record: StageRecord, names: Iterable[str]) -> str:
    for name in names:
        path, size = scene.root / name, record.outputs.get(name, -1)
        if not path.exists() or (size >= 0 and path.stat().st_size != size):
            return name
    return ""
