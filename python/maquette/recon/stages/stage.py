"""What a stage is, and how a list of stages is run, skipped and resumed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from maquette.errors import ConfigError, MaquetteError, NotFound, from_os_error
from maquette.pipelines.options import StepOptions
from maquette.scene import stage_records
from maquette.scene.events import Progress, now
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord


@dataclass(frozen=True)
class Report:
    """What a stage gives back.

    Attributes:
        outputs: What the stage made, below the scene; their presence is part of being done.
        mutable: Outputs that later stages change: only their presence counts, not their size.
        numbers: Counts and quality numbers for the table and `report.json`.
        remarks: Sentences that the person should read.
    """

    outputs: Sequence[Path]
    mutable: Sequence[Path] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()


T = TypeVar("T")
RunStage = Callable[[Scene, Any, Progress], Report]
Bring = Callable[[Scene, Any, Progress], None]
ListInputs = Callable[[Scene, Any], Iterable[Path]]


@dataclass(frozen=True)
class Stage:
    """A resumable unit of work.

    Attributes:
        name: Also the name of its record.
        version: Raised when the stage's code would give another result for the same input.
        run: Does the work; writes outputs atomically.
        parameters: Names of the options that change the result.
        after: Stages of this or an earlier step whose results it reads.
        bring: Fetches those files first, when they are not in the scene yet.
        files: Files it reads that no stage makes (user's input, edited region): hashed by
            content, named by their place below the scene.
    """

    name: str
    version: int
    run: RunStage
    parameters: Sequence[str] = ()
    after: Sequence[str] = ()
    files: ListInputs = lambda scene, options: ()
    packages: Sequence[str] = ()
    bring: Bring | None = None


def run_stages(
    stages: Sequence[Stage], step: str, scene: Scene, options: StepOptions, progress: Progress
) -> list[StageRecord]:
    """Run the stages in order, skipping each whose content key stands.

    Returns:
        The records of all stages between `from_stage` and `until_stage`, run or skipped.

    Raises:
        ConfigError: `force_stage`, `from_stage` or `until_stage` names no stage of this step.
        NotFound: an earlier stage that is needed has never finished.
        MaquetteError: a stage failed.
    """
    wanted = _between(stages, step, options)
    line = _Line(stages, step, scene, options, progress)
    for name in _forced(stages, options):
        line.forget(name)
    records = []
    for stage in wanted:
        with progress.stage(stage.name):
            records.append(line.run_or_skip(stage))
    return records


@dataclass(frozen=True)
class _Line:
    """The stages of one step at work in one scene."""

    stages: Sequence[Stage]
    step: str
    scene: Scene
    options: StepOptions
    progress: Progress

    def run_or_skip(self, stage: Stage) -> StageRecord:
        """Return the record of a stage, which runs unless its content key stands."""
        if stage.bring is not None:
            self._attempt(stage, stage.bring)
        parameters = {name: getattr(self.options, name) for name in stage.parameters}
        inputs = _input_keys(stage, self.scene, self.options)
        key = content_key(stage, parameters, inputs)
        record = stage_records.read(self.scene, stage.name)
        if record and record.key == key and stage_records.outputs_stand(self.scene, record):
            self.progress.event("skipped", numbers=record.numbers, wall_s=record.wall_s)
            return record
        self.forget(stage.name)
        self.progress.event("started")
        started_at, clock = now(), time.monotonic()
        report = self._attempt(stage, stage.run)
        record = StageRecord(
            stage=stage.name,
            step=self.step,
            key=key,
            parameters=parameters,
            inputs=inputs,
            outputs=_sizes(self.scene, report),
            started_at=started_at,
            wall_s=round(time.monotonic() - clock, 3),
            numbers=report.numbers,
            remarks=list(report.remarks),
            versions={name: metadata.version(name) for name in ("maquette", *stage.packages)},
        )
        stage_records.write(self.scene, record)
        self.progress.event("finished", numbers=record.numbers, wall_s=record.wall_s)
        return record

    def forget(self, name: str) -> None:
        """Drop the records that a rerun of `name` makes stale; they may carry the same key."""
        stage_records.forget(self.scene, name)
        for stage in self.stages:
            if name in stage.after and stage_records.read(self.scene, stage.name):
                self.forget(stage.name)

    def _attempt(self, stage: Stage, work: Callable[[Scene, Any, Progress], T]) -> T:
        """Do the work; whatever fails says at which stage."""
        try:
            return work(self.scene, self.options, self.progress)
        except OSError as error:
            raise from_os_error(error, f"running stage {stage.name}") from error
        except MaquetteError as error:
            if not error.detail.startswith("at stage"):
                detail = f": {error.detail}" if error.detail else ""
                error.detail = f"at stage {stage.name}{detail}"
            raise


def content_key(stage: Stage, parameters: dict[str, Any], inputs: dict[str, str]) -> str:
    """Hash what decides a stage's result: code version, parameters and the keys of its inputs."""
    facts = [stage.name, stage.version, parameters, inputs]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _input_keys(stage: Stage, scene: Scene, options: StepOptions) -> dict[str, str]:
    keys = {}
    for name in stage.after:
        record = stage_records.read(scene, name)
        if record is None or not stage_records.outputs_stand(scene, record):
            raise NotFound(
                f"stage {stage.name} needs the results of stage {name}, which are not there",
                hint=f"run it without FROM, or with FROM={name}",
            )
        keys[f"stage:{name}"] = record.key
    for path in stage.files(scene, options):
        keys[scene.relative(path)] = hash_file(path)
    return keys


def _sizes(scene: Scene, report: Report) -> dict[str, int]:
    sizes = {
        scene.relative(path): path.stat().st_size if path.is_file() else -1
        for path in report.outputs
    }
    return sizes | {scene.relative(path): -1 for path in report.mutable}


def _between(stages: Sequence[Stage], step: str, options: StepOptions) -> Sequence[Stage]:
    names = [stage.name for stage in stages]
    first = _position(names, step, options.from_stage, "FROM", 0)
    last = _position(names, step, options.until_stage, "UNTIL", len(names) - 1)
    if first > last:
        raise ConfigError(
            f"FROM={options.from_stage} comes after UNTIL={options.until_stage}",
            hint=f"the stages of {step} in order: {', '.join(names)}",
        )
    return stages[first : last + 1]


def _position(names: list[str], step: str, wanted: str, variable: str, default: int) -> int:
    if not wanted:
        return default
    if wanted not in names:
        raise ConfigError(
            f"{variable}={wanted} is no stage of {step}",
            hint=f"its stages in order: {', '.join(names)}",
        )
    return names.index(wanted)


def _forced(stages: Sequence[Stage], options: StepOptions) -> set[str]:
    names = [stage.name for stage in stages]
    if options.force_stage == "all" or getattr(options, "fresh", False):
        return set(names)
    if not options.force_stage:
        return set()
    _position(names, "this step", options.force_stage, "FORCE_STAGE", 0)
    return {options.force_stage}
