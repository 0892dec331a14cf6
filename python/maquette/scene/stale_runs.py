"""Training runs that a change of the region makes stale, and the commands that renew them."""

from __future__ import annotations

from maquette.scene import checkpoints
from maquette.scene.paths import Scene
from maquette.scene.region import Region


def stale_groups(scene: Scene, region: Region) -> list[str]:
    """Training runs whose newest checkpoint is of another region than this one."""
    runs = scene.root / "runs"
    folders = sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    return [folder.name for folder in folders if _is_stale(scene, folder.name, region)]


def rerun_advice(scene: Scene, region: Region) -> list[str]:
    """Sentences that tell what must run again because the region is now this one."""
    model = f"MODEL={scene.name}"
    return [
        f"runs/{group} was trained in another region: run `make process {model} GROUP={group} "
        f"FRESH=1`, then `make extract {model} GROUP={group}`"
        for group in stale_groups(scene, region)
        if not _is_set_aside(group)
    ]


def _is_stale(scene: Scene, group: str, region: Region) -> bool:
    files = checkpoints.listed(scene.run(group))
    return bool(files) and not checkpoints.mentions_region(files[0], region.digest)


def _is_set_aside(group: str) -> bool:
    """Whether FRESH=1 kept the run aside: its name has a number behind a dot."""
    return group.rpartition(".")[2].isdigit() and "." in group
