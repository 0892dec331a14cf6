"""What a change of the region makes stale, and the commands that renew it."""

from __future__ import annotations

from pathlib import Path

from maquette.pipelines import registry
from maquette.pipelines.options import StepOptions
from maquette.scene import checkpoints, facts, stage_records
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.stage_records import StageRecord

_OF_REGION = ("fact:region", "fact:sphere")


def find(scene: Scene, region: Region) -> list[Path]:
    """Training runs, of any pipeline, whose newest checkpoint is of another sphere than this."""
    folders = sorted(path for path in scene.root.glob("runs/*/*") if path.is_dir())
    return [run for run in folders if _depends(scene, run) and _is_stale(run, region)]


def rerun_advice(scene: Scene, region: Region) -> list[str]:
    """Sentences that tell what must run again because the region is now this one.

    Training depends on the sphere alone: where only the box changed, what is made of a run is
    made again, and the run stands.
    """
    runs = [run for run in find(scene, region) if not is_set_aside(run.name)]
    trained = [
        f"{scene.relative(run)} was trained in another region: "
        f"run {_commands(scene, run.parent.name, run.name)}"
        for run in runs
    ]
    told = {(run.parent.name, run.name) for run in runs}
    made = [
        f"the results of {pipeline} are of another region: "
        f"run {_commands(scene, pipeline, group, step)}"
        for pipeline, group, step in _made_elsewhere(scene)
        if (pipeline, group) not in told
    ]
    return trained + made


def _made_elsewhere(scene: Scene) -> list[tuple[str, str, str]]:
    """Pipelines with results of another region, their groups, and the first step to run again."""
    found = []
    for pipeline in registry.names():
        records = stage_records.read_all(scene.of(pipeline), pipeline)
        steps = {record.step: record for record in records if _is_elsewhere(scene, record)}
        order = [verb for verb in registry.get_pipeline(pipeline).steps if verb in steps]
        if order:
            group = steps[order[0]].parameters.get("group", StepOptions.group)
            found.append((pipeline, str(group), order[0]))
    return found


def _is_elsewhere(scene: Scene, record: StageRecord) -> bool:
    """Whether it is of another region, as far as its stage depends on that."""
    return any(
        record.inputs[key].partition("+")[0] != facts.digest(scene, key.removeprefix("fact:"))
        for key in _OF_REGION
        if key in record.inputs
    )


def _commands(scene: Scene, pipeline: str, group: str, first: str = "") -> str:
    """What makes a pipeline's results again: all of its steps afresh, or those from the first."""
    if pipeline not in registry.names():
        return f"the steps of pipeline {pipeline} again"
    which = f"{registry.as_setting(pipeline)}MODEL={scene.name} GROUP={group}"
    steps = registry.get_pipeline(pipeline).steps
    verbs = [verb for verb, step in steps.items() if not step.is_shared]
    commands = [
        " ".join(filter(None, ("make", verb, which, "" if first else steps[verb].afresh)))
        for verb in (verbs[verbs.index(first) :] if first else verbs)
    ]
    return ", then ".join(f"`{command}`" for command in commands)


def _depends(scene: Scene, run: Path) -> bool:
    """Whether a run was trained in a region at all, as far as is known: a flight is not."""
    record = stage_records.read(scene.of(run.parent.name), "train")
    return record is None or any(key in record.inputs for key in _OF_REGION)


def _is_stale(run: Path, region: Region) -> bool:
    files = checkpoints.listed(run)
    return bool(files) and not checkpoints.mentions(files[0], region.sphere_digest, region.digest)


def is_set_aside(group: str) -> bool:
    """Whether the run was kept aside when another was begun: its name has a number behind a dot."""
    return group.rpartition(".")[2].isdigit() and "." in group
