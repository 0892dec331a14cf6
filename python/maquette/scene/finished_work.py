"""What each pipeline did in a scene, read from its records and results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError
from maquette.pipelines.options import Option, options_of
from maquette.pipelines.pipeline import COMMON, Pipeline
from maquette.pipelines.registry import DEFAULT, get_pipeline
from maquette.scene import outputs, stage_records
from maquette.scene.outputs import Output
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

_KINDS: dict[str, Any] = {
    "started_at": str, "wall_s": int | float, "peak_bytes": int, "gpu_peak_bytes": int,
    "numbers": dict, "parameters": dict, "outputs": dict, "kinds": dict, "versions": dict,
    "remarks": list, "pruned": list,
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What one pipeline did in a scene, or what all of them share.

    Attributes:
        owner: The pipeline's name, or COMMON.
        records: Of its finished stages, oldest first.
        damaged: Files that should hold a record or an evaluation and do not, below the scene.
    """

    scene: Scene
    owner: str
    records: tuple[StageRecord, ...]
    damaged: tuple[str, ...]

    @property
    def is_shared(self) -> bool:
        """Whether it counts for all pipelines."""
        return self.owner == COMMON

    @property
    def summary(self) -> str:
        """What the method is; "" for one that is not installed here."""
        return self._pipeline.summary if self._pipeline else ""

    def options(self, step: str) -> dict[str, Option]:
        """What a step may be told, by the options' names; none where that is not known here."""
        found = self._pipeline.steps.get(step) if self._pipeline else None
        return {option.field: option for option in options_of(found.options)} if found else {}

    @property
    def _pipeline(self) -> Pipeline | None:
        try:
            return get_pipeline(DEFAULT if self.is_shared else self.owner)
        except ConfigError:
            return None

    @cached_property
    def outputs(self) -> list[Output]:
        """What it made for a person."""
        return [] if self.is_shared else outputs.read(self.scene.of(self.owner))

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """What `make evaluate` found; empty before that."""
        if self.is_shared:
            return {}
        return _json_object(self.scene.of(self.owner).evaluation) or {}

    def numbers(self, stage: str) -> dict[str, Any]:
        """What a stage counted; empty when it has not run."""
        return next((record.numbers for record in self.records if record.stage == stage), {})

    def newest(self, name: str) -> Any:
        """A number as the last stage that has it tells it; None where none has."""
        found = (record.numbers[name] for record in self.records[::-1] if name in record.numbers)
        return next(found, None)


def gather(scene: Scene) -> list[Work]:
    """The work that all pipelines share, then each pipeline's, the one that ran last first."""
    folders = [path.name for path in scene.stages.glob("*/")]
    made = outputs.pipelines_of(scene.root)
    owners = sorted({*folders, *made} - {COMMON})
    works = [_work(scene, owner) for owner in owners]
    used = [work for work in works if work.records or work.outputs or work.damaged]
    used.sort(key=lambda work: work.records[-1].started_at if work.records else "", reverse=True)
    return [_work(scene, COMMON), *used]


def record_files(scene: Scene) -> list[Path]:
    """Every file that holds a stage's record."""
    return sorted(scene.stages.glob("*/*.json"))


def read_licences(scene: Scene) -> dict[str, dict[str, str]]:
    """Whose programs computed each step, by pipeline."""
    found = (_json_object(scene.report) or {}).get("licences")
    if not isinstance(found, dict):
        return {}
    return {name: steps for name, steps in found.items() if isinstance(steps, dict)}


def _work(scene: Scene, owner: str) -> Work:
    files = sorted(scene.records(owner).glob("*.json"))
    read = {path: _record(path) for path in files}
    damaged = [path for path, record in read.items() if record is None]
    evaluation = scene.of(owner).evaluation if owner != COMMON else None
    if evaluation is not None and evaluation.is_file() and _json_object(evaluation) is None:
        damaged.append(evaluation)
    finished = [record for record in read.values() if record is not None and record.key]
    records = tuple(sorted(finished, key=lambda record: record.started_at))
    return Work(scene, owner, records, tuple(scene.relative(path) for path in damaged))


def _record(path: Path) -> StageRecord | None:
    """A record, also one that was forgotten; None when the file holds none."""
    record = stage_records.parse(_json_object(path) or {})
    fits = record is not None and all(
        isinstance(getattr(record, name), kind) for name, kind in _KINDS.items()
    )
    return record if fits else None


def _json_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
