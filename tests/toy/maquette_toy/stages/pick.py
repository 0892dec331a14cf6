"""Stage `pick`: which cameras get a ball."""

from __future__ import annotations

from maquette.scene import transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write their centres, in world units."""
    frames = transforms.read(scene.transforms).frames[:: options.every]
    path = scene.run(options.group) / "picked.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, [frame.world_from_cam[:3, 3].tolist() for frame in frames])
    return Report([path], numbers={"cameras": len(frames)})


STAGE = Stage("pick", version=1, run=run, parameters=("group", "every"), facts=("cameras",))
