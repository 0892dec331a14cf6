"""What a change of the region makes stale, and the commands that renew it."""

from __future__ import annotations

from pathlib import Path

from maquette.pipelines import registry
from maquette.pipelines.options import StepOptions
from maquette.scene import checkpoints, facts, stage_records
from maquette.scene.paths import Scene
from maquette.scene.region import Region

_REGION = "fact:region"


def find(scene: Scene, region: Region) -> list[Path]:
    """Training runs, of any pipeline, whose newest checkpoint is of another region than this."""
    folders = sorted(path for path in scene.root.glob("runs/*/*") if path.is_dir())
    return [folder for folder in folders if _is_stale(folder, region)]


def rerun_advice(scene: Scene, region: Region) -> list[str]:
    """Sentences that tell what must run again because the region is now this one."""
    trained = [
        f"{scene.relative(run)} was trained in another region: "
        f"run {_commands(scene, run.parent.name, run.name)}"
        for run in find(scene, region)
        if not is_set_aside(run.name)
    ]
    made = [
        f"the results of {pipeline} are of another region: run {_commands(scene, pipeline, group)}"
        for pipeline, group in _made_elsewhere(scene)
    ]
    return trained + made


def _made_elsewhere(scene: Scene) -> list[tuple[str, str]]:
    """Pipelines that train nothing, with results of another region, and their groups."""
    now = facts.digest(scene, "region")
    found = []
    for pipeline in registry.names():
        if scene.of(pipeline).runs.is_dir():
            continue
        records = stage_records.read_all(scene.of(pipeline), pipeline)
        known = [record for record in records if _REGION in record.inputs]
        if any(record.inputs[_REGION].partition("+")[0] != now for record in known):
            found.append((pipeline, str(known[0].parameters.get("group", StepOptions.group))))
    return found


def _commands(scene: Scene, pipeline: str, group: str) -> str:
    """What makes a pipeline's results again."""
    if pipeline not in registry.names():
        return f"the steps of pipeline {pipeline} again"
    which = f"{registry.as_setting(pipeline)}MODEL={scene.name} GROUP={group}"
    steps = registry.get_pipeline(pipeline).steps.items()
    commands = [
        " ".join(filter(None, ("make", verb, which, step.afresh)))
        for verb, step in steps
        if not step.is_shared
    ]
    return ", then ".join(f"`{command}`" for command in commands)


def _is_stale(run: Path, region: Region) -> bool:
    files = checkpoints.listed(run)
    return bool(files) and not checkpoints.mentions_region(files[0], region.digest)


def is_set_aside(group: str) -> bool:
    """Whether the run was kept aside when another was begun: its name has a number behind a dot."""
    return group.rpartition(".")[2].isdigit() and "." in group
