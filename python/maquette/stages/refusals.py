"""What is said where a stage can not have what it reads."""

from __future__ import annotations

from maquette.errors import NotFound
from maquette.pipelines import registry
from maquette.scene import stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages.stage import Stage


def lacking(
    scene: Scene, step: str, stage: Stage, name: str, record: StageRecord | None
) -> NotFound:
    """The results of stage `name`, that a stage of `step` needs, do not stand."""
    pipeline, hint = scene.pipeline, f"run it without FROM, or with FROM={name}"
    other = registry.step_of(pipeline, name)
    if other not in ("", step):
        hint = f"`make {other} {registry.naming(pipeline, other, scene.name)}` makes them"
    spoilt = stage_records.spoilt_output(scene, record) if record else ""
    return NotFound(
        f"stage {stage.name} needs the results of stage {name}, which are not there",
        detail=f"`{spoilt}` is gone, or has not the size it had" if spoilt else "",
        hint=hint,
    )


def pruned(
    scene: Scene, stage: Stage, record: StageRecord, file: str, is_of_step: bool
) -> NotFound:
    """A stage is about to read a file that was pruned, and can not have it made again.

    Args:
        record: Of the stage that made it.
        is_of_step: That is of the step at work, but would make something else now.
    """
    hint = "run it without FROM"
    if not is_of_step:
        group = str(record.parameters.get("group", ""))
        which = registry.naming(scene.pipeline, record.step, scene.name, group)
        hint = f"`make {record.step} {which} UNTIL={record.stage}` makes them again"
    return NotFound(
        f"stage {stage.name} reads files of stage {record.stage} that PRUNE=1 dropped",
        detail=f"`{file}` is one of them",
        hint=hint,
    )
