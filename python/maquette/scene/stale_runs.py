"""Training runs that a change of the region makes stale, and the commands that renew them."""

from __future__ import annotations

from pathlib import Path

from maquette.pipelines.registry import as_setting
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
        f"{scene.relative(run)} was trained in another region: run `make process {which} FRESH=1`, "
        f"then `make extract {which}`"
        for run in find(scene, region)
        if not _is_set_aside(run.name) and (which := _settings_of(scene, run))
    ]


def _settings_of(scene: Scene, run: Path) -> str:
    """What a person gives so that a command means this run."""
    return f"{as_setting(run.parent.name)}MODEL={scene.name} GROUP={run.name}"


def _is_stale(run: Path, region: Region) -> bool:
    files = checkpoints.listed(run)
    return bool(files) and not checkpoints.mentions_region(files[0], region.digest)


def _is_set_aside(group: str) -> bool:
    """Whether FRESH=1 kept the run aside: its name has a number behind a dot."""
    return group.rpartition(".")[2].isdigit() and "." in group
