"""PRUNE=1: files that only served other stages go, once all that read them are done.

A stage's record says first what is pruned, then the files go: a kill in between leaves files that
nobody needs, never a stage whose files are missing without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from maquette.pipelines.pipeline import COMMON
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages import keys
from maquette.stages.stage import Stage


def prune(
    scene: Scene, stages: Sequence[tuple[str, Stage]], progress: Progress, keep: str = ""
) -> None:
    """Drop what can be made again and nobody is waiting for.

    Args:
        stages: All of a pipeline, of all its steps, each with whose records it gets.
        keep: A stage whose files a person asked for.
    """
    known = _Known(scene)
    for owner, stage in stages:
        record = stage_records.read(scene, stage.name) if stage.intermediate else None
        if record is None or stage.name == keep:
            continue
        readers = [one for of, one in stages if stage.name in (*one.after, *one.uses)]
        if not known.is_done(owner, record, [one.name for one in readers]):
            continue
        files = known.droppable(owner, record, tuple(stage.intermediate))
        if not files:
            continue
        size_mb = sum((scene.root / name).stat().st_size for name in files) / 1e6
        _drop(scene, owner, record, files)
        with progress.stage(stage.name):
            progress.say(
                f"PRUNE=1: {size_mb:,.1f} MB dropped, as all stages that read them are done"
            )


class _Known:
    """What the records of a scene, of all pipelines, tell."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        owners = sorted(path.name for path in scene.stages.glob("*/"))
        self._records = [
            (owner, record) for owner in owners for record in stage_records.read_all(scene, owner)
        ]
        self._keys: dict[tuple[str, str], str] = {}  # input files are large: hashed once

    def is_done(self, owner: str, record: StageRecord, readers: Iterable[str]) -> bool:
        """Whether a stage could run again as it did, and nobody has to read what it made.

        Args:
            readers: Those of the pipeline at work; others count where they have run here.
        """
        own = [stage_records.read(self._scene, name) for name in readers]
        others = [
            (of, other)
            for of, other in self._records
            if f"stage:{record.stage}" in other.inputs and owner in (COMMON, of)
        ]
        return (
            self._is_current(owner, record)
            and all(one and self._is_current(self._scene.pipeline, one) for one in own)
            and all(self._is_current(of, other) for of, other in others)
        )

    def _is_current(self, owner: str, record: StageRecord) -> bool:
        """Whether a stage's results stand, and all that they were made of, back to the input."""
        if stage_records.spoilt_output(self._scene, record):
            return False
        return all(self._key(owner, name) == key for name, key in record.inputs.items())

    def _key(self, owner: str, name: str) -> str:
        """What a stage, a fact or a file counts as now; "" where it does not stand."""
        if (owner, name) not in self._keys:
            self._keys[owner, name] = self._find_key(self._scene.of(owner), owner, name)
        return self._keys[owner, name]

    def _find_key(self, scene: Scene, owner: str, name: str) -> str:
        kind, _, what = name.partition(":")
        if kind == "fact":
            return keys.of_fact(scene, what)
        if kind == "stage":
            record = stage_records.read(scene, what)
            stands = record is not None and self._is_current(owner, record)
            return keys.of_stage(record) if record and stands else ""
        path = scene.root / name
        return keys.of_file(path) if path.is_file() else ""

    def droppable(self, owner: str, record: StageRecord, beginnings: tuple[str, ...]) -> list[str]:
        """The files of a stage that may go: no result, in no other's key, made by no other too."""
        others = [
            other for of, other in self._records if (of, other.stage) != (owner, record.stage)
        ]
        taken = {name for other in others for name in (*other.inputs, *other.outputs)}
        return [
            name
            for name, size in record.outputs.items()
            if size >= 0
            and name.startswith(beginnings)
            and name not in record.kinds
            and name not in taken
            and (self._scene.root / name).is_file()
        ]


def _drop(scene: Scene, owner: str, record: StageRecord, files: Sequence[str]) -> None:
    pruned = sorted({*record.pruned, *files})
    stage_records.write(scene, owner, replace(record, pruned=pruned))
    _forget_parts(scene.records(owner) / record.stage, set(pruned))
    for name in files:
        (scene.root / name).unlink(missing_ok=True)


def _forget_parts(folder: Path, pruned: set[str]) -> None:
    """Remove the records of shards and of photos whose files go: they are made again like new."""
    for path in folder.rglob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            made = {*content.get("outputs", ()), *content.get("files", ())}
        except (OSError, ValueError, AttributeError, TypeError):
            continue
        if made & pruned:
            path.unlink(missing_ok=True)
