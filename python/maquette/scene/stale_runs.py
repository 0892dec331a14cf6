"""Training runs that a change of the region makes stale, and the commands that renew them."""

from __future__ import annotations

from pathlib import Path

from maquette.pipelines import registry
from maquette.scene import checkpoints
from maquette.scene.paths import Scene
from maquette.scene.region import Region


def find(scene: Scene, region: Region) -> list[Path]:
    """Training runs, of any pipeline, whose newest checkpoint is of another region than this."""
    folders = sorted(path for path in scene.root.glob("runs/*/*") if path.is_dir())
    return [folder for folder in folders if _is_stale(folder, region)]


def rerun_advice(scene: Scene, region: Region) -> list[str]:
    """Sentences that tell what must run again because the region is now this one."""
    return [
        f"{scene.relative(run)} was trained in another region: run {_commands(scene, run)}"
        for run in find(scene, region)
        if not is_set_aside(run.name)
    ]


def _commands(scene: Scene, run: Path) -> str:
    """What makes a run and its results again."""
    pipeline = run.parent.name
    if pipeline not in registry.names():
        return f"the steps of pipeline {pipeline} again"
    which = f"{registry.as_setting(pipeline)}MODEL={scene.name} GROUP={run.name}"
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
