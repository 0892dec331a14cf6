"""How a list of stages is run, skipped and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, TypeVar

from maquette.errors import BadInput, MaquetteError, NotFound, from_os_error
from maquette.pipelines.options import StepOptions
from maquette.resources import version
from maquette.scene import facts, outputs, stage_records
from maquette.scene.events import Progress, now
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages import choosing, keys, refusals
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
        MaquetteError: a stage failed, other than one of those that can.
    """
    wanted = choosing.between(stages, step, options)
    line = _Line(stages, step, scene, options, progress, owner or scene.pipeline, executor, gpu)
    for name in choosing.forced(stages, options):
        line.forget(name, forced=True)
    for stage in wanted:
        line.check(stage)
    records: list[StageRecord] = []
    lacking: set[str] = set()
    for stage in wanted:
        if stage.can_fail and lacking & set(stage.after):
            lacking.add(stage.name)
            continue
        with progress.stage(stage.name):
            try:
                records.append(line.run_or_skip(stage, is_wanted=stage.name == options.until_stage))
            except (BadInput, NotFound) as error:
                if not stage.can_fail or stage.name == options.until_stage:
                    raise
                progress.say(f"{error.what}: done without")
                lacking.add(stage.name)
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

    def check(self, stage: Stage) -> None:
        """Refuse what a stage can not do, before the ones ahead of it take their time."""
        self._attempt(stage, lambda scene, options, progress: stage.check(scene, options))

    def run_or_skip(self, stage: Stage, is_wanted: bool = False) -> StageRecord:
        """Return the record of a stage, which runs unless its content key stands.

        Args:
            is_wanted: Its files are wanted by a person: those that were pruned are made again.
        """
        if stage.bring is not None:
            self._attempt(stage, stage.bring)
        parameters = stage.keyed(self.options)
        inputs = self._input_keys(stage)
        key = stage_records.content_key(stage.name, stage.version, parameters, inputs)
        record = self._as_now(stage_records.read(self.scene, stage.name), inputs)
        if record and record.key == key:
            spoilt = stage_records.spoilt_output(self.scene, record)
            if not spoilt:
                if record.kinds:
                    outputs.renew(self.scene)
                self._drop_shards(stage)
                if is_wanted and stage_records.lacking_output(self.scene, record):
                    return self._restore(stage, record)
                self.progress.event("skipped", numbers=record.numbers, wall_s=record.wall_s)
                return record
            self.progress.say(f"`{spoilt}` is gone, or has not the size it had: made again")
        self._restore_what_it_reads(stage)
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
            remarks=[self.progress.complete(remark) for remark in report.remarks],
            forced=stage_records.times_forced(self.scene, stage.name),
            lineage=self._lineage(stage),
            versions={"maquette": version()}
            | {name: metadata.version(name) for name in stage.packages},
            peak_bytes=peak.resident_bytes,
            gpu_peak_bytes=peak.gpu_bytes,
        )
        stage_records.write(self.scene, self.owner, record)
        self._drop_shards(stage)
        if record.kinds:
            outputs.write(self.scene)
        self.progress.event("finished", numbers=record.numbers, wall_s=record.wall_s)
        return record

    def _input_keys(self, stage: Stage) -> dict[str, str]:
        """Digests of what a stage reads, by name.

        Raises:
            NotFound: a stage before it has never finished, or its files are gone.
        """
        scene, found = self.scene, {}
        for name in stage.after:
            record = stage_records.read(scene, name)
            if record is None or stage_records.spoilt_output(scene, record):
                raise refusals.lacking(scene, self.step, stage, name, record)
            found[f"stage:{name}"] = keys.of_stage(record)
        for fact in (one for one in stage.facts if facts.counts(scene, one)):
            found[f"fact:{fact}"] = keys.of_fact(scene, fact)
        for path in stage.files(scene, DeclaredOptions(stage, self.options)):
            found[scene.relative(path)] = keys.of_file(path)
        return found

    def _as_now(self, record: StageRecord | None, inputs: dict[str, str]) -> StageRecord | None:
        """A record from when the whole region counted where only its sphere does, renewed."""
        whole, sphere = "fact:region", "fact:sphere"
        if record is None or sphere not in inputs or whole in inputs:
            return record
        if record.inputs.get(whole) != keys.of_fact(self.scene, "region"):
            return record
        named = {name: value for name, value in record.inputs.items() if name != whole}
        named[sphere] = inputs[sphere]
        renewed = replace(record, key=stage_records.key_with(record, named), inputs=named)
        stage_records.write(self.scene, self.owner, renewed)
        return renewed

    def _restore_what_it_reads(self, stage: Stage) -> None:
        """Make again what was pruned of earlier stages and this one is about to read.

        Raises:
            NotFound: another step makes it, or the stage would now make something else.
        """
        for name in (*stage.after, *stage.uses):
            record = stage_records.read(self.scene, name)
            lacking = stage_records.lacking_output(self.scene, record) if record else ""
            if record is None or not lacking:
                continue
            maker = next((one for one in self.stages if one.name == name), None)
            if maker is None or self._key_now(maker) != record.key:
                of_step = maker is not None
                raise refusals.pruned(self.scene, stage, record, lacking, is_of_step=of_step)
            self.progress.say(
                f"`{lacking}` and others of stage {name} were pruned, and stage {stage.name} reads "
                "them: made again first"
            )
            with self.progress.stage(name):
                self._restore(maker, record)

    def _key_now(self, stage: Stage) -> str:
        if stage.bring is not None:
            self._attempt(stage, stage.bring)
        told = (stage.keyed(self.options), self._input_keys(stage))
        return stage_records.content_key(stage.name, stage.version, *told)

    def _restore(self, stage: Stage, record: StageRecord) -> StageRecord:
        """Run a stage whose key stands for the files that were pruned of it."""
        self._restore_what_it_reads(stage)
        self.progress.event("started")
        clock = time.monotonic()
        report = self._attempt(stage, self._work_of(stage, record.key))
        record = replace(record, outputs=_sizes(self.scene, report), pruned=[])
        stage_records.write(self.scene, self.owner, record)
        self._drop_shards(stage)
        wall_s = round(time.monotonic() - clock, 3)
        self.progress.event("finished", numbers=record.numbers, wall_s=wall_s)
        return record

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

    def _drop_shards(self, stage: Stage) -> None:
        """Also where a kill came between a stage's record and this."""
        if not stage.keeps_shards:
            stage_records.drop_shards(self.scene, self.owner, stage.name)

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


def _sizes(scene: Scene, report: Report) -> dict[str, int]:
    sizes = {
        scene.relative(path): path.stat().st_size if path.is_file() else -1
        for path in report.outputs
    }
    return sizes | {scene.relative(path): -1 for path in report.mutable}
