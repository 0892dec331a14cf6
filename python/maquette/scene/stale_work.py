"""Finished work that a shared step makes stale: told something else than before, or forced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.errors import shown_path
from maquette.pipelines import registry
from maquette.pipelines.options import options_of
from maquette.pipelines.pipeline import COMMON, Step
from maquette.scene import checkpoints, facts, input_source, stage_records, stale_runs
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

Changes = dict[str, tuple[Any, Any]]

_INTAKE = "input"  # the stage that fills and checks `input/`


@dataclass(frozen=True)
class StaleWork:
    """What a step does again, and what was made from it.

    Attributes:
        changes: By setting: what it was, so that given again it spoils nothing, and what it is.
        again: The stages of the step that run once more.
        later: The stages after it whose results may come out otherwise, `pipeline: stage`.
        runs: Training, below the scene, that may no longer fit cameras and region.
    """

    changes: Mapping[str, tuple[Any, Any]]
    again: tuple[str, ...]
    later: tuple[str, ...]
    runs: tuple[str, ...]


def find(scene: Scene, step: str, options: Mapping[str, Any]) -> StaleWork | None:
    """Compare a step's options with the records of its finished stages.

    Args:
        options: What the step is going to be told, by the names of its fields.

    Returns:
        None where no later work is at stake: nothing changes, or nothing was made from it yet.
    """
    known = registry.get_pipeline(scene.pipeline).steps[step]
    if not known.is_shared:
        return None
    order = _names(known)
    records = sorted(stage_records.read_all(scene, COMMON), key=lambda r: _place(order, r))
    running, forced = _running(order, options), _forced(order, options)
    changes = {
        record.stage: found
        for record in records
        if record.stage in running and (found := _changes(scene, record, options))
    }
    stale = [record for record in records if record.stage in {*changes, *forced}]
    if not stale:
        return None
    again = _with_readers(stale, records)
    others = [name for name in registry.names() if name != COMMON]
    later = tuple(
        f"{name}: {record.stage}"
        for name in others
        for record in _with_readers(again, stage_records.read_all(scene, name))
        if record not in again
    )
    runs = tuple(scene.relative(run) for run in _trained(scene))
    if not later and not runs:
        return None
    names = {option.field: option.setting for option in options_of(known.options)}
    told = {names.get(key, key): pair for found in changes.values() for key, pair in found.items()}
    if forced:
        told["FORCE_STAGE"] = ("", options["force_stage"])
    stages = tuple(record.stage for record in records if record in again)
    return StaleWork(told, stages, later, runs)


def _changes(scene: Scene, record: StageRecord, options: Mapping[str, Any]) -> Changes:
    """Parameters that were another value; one that only one side knows does not count."""
    found: Changes = {
        name: (before, options[name])
        for name, before in record.parameters.items()
        if name in options and json.dumps(before) != json.dumps(options[name])
    }
    wanted = str(options.get("input", ""))
    if record.stage == _INTAKE and input_source.is_another(scene, wanted, record):
        found["INPUT"] = (shown_path(scene.input), wanted)
    return found


def _forced(names: list[str], options: Mapping[str, Any]) -> list[str]:
    """The stages that FORCE_STAGE has done again, also beyond FROM and UNTIL."""
    force = options.get("force_stage")
    return names if force == "all" else [name for name in names if name == force]


def _names(step: Step) -> list[str]:
    """The stages of a step in order, by the names of their records."""
    return [name.rpartition(".")[2] for name in step.all_stages]


def _place(names: list[str], record: StageRecord) -> int:
    return names.index(record.stage) if record.stage in names else len(names)


def _running(names: list[str], options: Mapping[str, Any]) -> list[str]:
    """The stages between FROM and UNTIL."""
    first, last = options.get("from_stage"), options.get("until_stage")
    start = names.index(first) if first in names else 0
    return names[start : names.index(last) + 1 if last in names else len(names)]


def _with_readers(stale: list[StageRecord], records: list[StageRecord]) -> list[StageRecord]:
    """Stale records, and those of `records` that read them, directly or through others."""
    found = list(stale)
    while more := [r for r in records if r not in found and any(_reads(r, s) for s in found)]:
        found += more
    return found


def _reads(record: StageRecord, other: StageRecord) -> bool:
    made = {f"stage:{other.stage}", *other.outputs}
    made |= {f"fact:{fact}" for fact, stage in facts.SOURCES.items() if stage == other.stage}
    return bool(made & record.inputs.keys())


def _trained(scene: Scene) -> list[Path]:
    """Runs of any pipeline that have a checkpoint and were not set aside."""
    folders = sorted(path for path in scene.root.glob("runs/*/*") if path.is_dir())
    kept = [folder for folder in folders if not stale_runs.is_set_aside(folder.name)]
    return [folder for folder in kept if checkpoints.listed(folder)]
