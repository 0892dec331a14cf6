"""How a list of stages is run, skipped and resumed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from maquette.errors import ConfigError, MaquetteError, NotFound, from_os_error
from maquette.pipelines import registry
from maquette.pipelines.options import StepOptions
from maquette.scene import facts, outputs, stage_records
from maquette.scene.events import Progress, now
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages.memory import GpuMeter, measured
from maquette.stages.sharding import Executor, one_by_one, run_shards
from maquette.stages.stage import DeclaredOptions, Report, RunStage, Sharding, Stage

T = TypeVar("T")


def run_stages(
    stages: Sequence[Stage],
    step: str,
    scene: Scene,
    options: StepOptions,
    progress: Progress,
    owner: str = "",
    executor: Executor = one_by_one,
    gpu: GpuMeter | None = None,
) -> list[StageRecord]:
    """Run the stages in order, skipping each whose content key stands.

    Args:
        owner: Whose records they get; by default the scene's pipeline's.
        executor: Who runs shards.
        gpu: Tells how much memory of a GPU a stage took.

    Returns:
        The records of all stages between `from_stage` and `until_stage`, run or skipped.

    Raises:
        ConfigError: `force_stage`, `from_stage` or `until_stage` names no stage of this step.
        NotFound: an earlier stage that is needed has never finished.
        MaquetteError: a stage failed.
    """
    wanted = _between(stages, step, options)
    line = _Line(stages, step, scene, options, progress, owner or scene.pipeline, executor, gpu)
    for name in _forced(stages, options):
        line.forget(name, forced=True)
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
    owner: str
    executor: Executor
    gpu: GpuMeter | None = None

    def run_or_skip(self, stage: Stage) -> StageRecord:
        """Return the record of a stage, which runs unless its content key stands."""
        if stage.bring is not None:
            self._attempt(stage, stage.bring)
        parameters = stage.keyed(self.options)
        inputs = self._input_keys(stage)
        key = stage_records.content_key(stage.name, stage.version, parameters, inputs)
        record = stage_records.read(self.scene, stage.name)
        if record and record.key == key:
            spoilt = stage_records.spoilt_output(self.scene, record)
            if not spoilt:
                if record.kinds:
                    outputs.renew(self.scene)
                self.progress.event("skipped", numbers=record.numbers, wall_s=record.wall_s)
                return record
            self.progress.say(f"`{spoilt}` is gone, or has not the size it had: made again")
        self.forget(stage.name)
        self.progress.event("started")
        started_at, clock = now(), time.monotonic()
        with measured(self.gpu) as peak:
            report = self._attempt(stage, self._work_of(stage, key))
        record = StageRecord(
            stage=stage.name,
            step=self.step,
            key=key,
            parameters=parameters,
            inputs=inputs,
            outputs=_sizes(self.scene, report),
            kinds={self.scene.relative(path): kind for path, kind in report.kinds.items()},
            started_at=started_at,
            wall_s=round(time.monotonic() - clock, 3),
            numbers=report.numbers,
            remarks=list(report.remarks),
            forced=stage_records.times_forced(self.scene, stage.name),
            lineage=self._lineage(stage),
            versions={name: metadata.version(name) for name in ("maquette", *stage.packages)},
            peak_bytes=peak.resident_bytes,
            gpu_peak_bytes=peak.gpu_bytes,
        )
        stage_records.write(self.scene, self.owner, record)
        if record.kinds:
            outputs.write(self.scene)
        self.progress.event("finished", numbers=record.numbers, wall_s=record.wall_s)
        return record

    def _input_keys(self, stage: Stage) -> dict[str, str]:
        """Digests of what a stage reads, by name.

        Raises:
            NotFound: a stage before it has never finished, or its files are gone.
        """
        scene, keys = self.scene, {}
        for name in stage.after:
            record = stage_records.read(scene, name)
            if record is None or stage_records.spoilt_output(scene, record):
                raise self._lacking(stage, name, record)
            keys[f"stage:{name}"] = record.key + _again(record)
        for fact in (one for one in stage.facts if facts.counts(scene, one)):
            source = stage_records.read(scene, facts.SOURCES.get(fact, ""))
            keys[f"fact:{fact}"] = facts.digest(scene, fact) + _again(source)
        for path in stage.files(scene, DeclaredOptions(stage, self.options)):
            keys[scene.relative(path)] = hash_file(path)
        return keys

    def _lacking(self, stage: Stage, name: str, record: StageRecord | None) -> NotFound:
        """What is said where the results of stage `name`, that another needs, do not stand."""
        pipeline, hint = self.scene.pipeline, f"run it without FROM, or with FROM={name}"
        step = registry.step_of(pipeline, name)
        if step not in ("", self.step):
            hint = f"`make {step} {registry.naming(pipeline, step, self.scene.name)}` makes them"
        spoilt = stage_records.spoilt_output(self.scene, record) if record else ""
        return NotFound(
            f"stage {stage.name} needs the results of stage {name}, which are not there",
            detail=f"`{spoilt}` is gone, or has not the size it had" if spoilt else "",
            hint=hint,
        )

    def _work_of(self, stage: Stage, key: str) -> RunStage:
        if not isinstance(stage.run, Sharding):
            return stage.run
        return lambda scene, options, progress: run_shards(
            stage, scene, self.owner, self.options, key, progress, self.executor
        )

    def forget(self, name: str, forced: bool = False) -> None:
        """Drop the records that a rerun of `name` makes stale; they may carry the same key."""
        stage_records.forget(self.scene, self.owner, name, forced)
        for stage in self.stages:
            if name in stage.after and stage_records.read(self.scene, stage.name):
                self.forget(stage.name)

    def _lineage(self, stage: Stage) -> int:
        before = (stage_records.read(self.scene, name) for name in stage.after)
        own = stage_records.times_forced(self.scene, stage.name)
        return own + sum(record.lineage for record in before if record)

    def _attempt(self, stage: Stage, work: Callable[[Scene, Any, Progress], T]) -> T:
        """Do the work; whatever fails says at which stage."""
        try:
            return work(self.scene, DeclaredOptions(stage, self.options), self.progress)
        except OSError as error:
            place = str(self.scene.root)
            raise from_os_error(error, f"running stage {stage.name}", place) from error
        except MaquetteError as error:
            if not error.detail.startswith("at stage"):
                detail = f": {error.detail}" if error.detail else ""
                error.detail = f"at stage {stage.name}{detail}"
            raise


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _again(record: StageRecord | None) -> str:
    """What tells a result that a person had made again from the one before."""
    return f"+{record.lineage}" if record and record.lineage else ""


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


def _forced(stages: Sequence[Stage], options: StepOptions) -> frozenset[str]:
    names = [stage.name for stage in stages]
    if options.redoes_all:
        return frozenset(names)
    if not options.force_stage:
        return frozenset()
    _position(names, "this step", options.force_stage, "FORCE_STAGE", 0)
    return frozenset({options.force_stage})
