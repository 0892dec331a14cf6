"""Stage `balls`: the mesh of all balls."""

from __future__ import annotations

import json

import trimesh

from maquette.scene import outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>.ply`."""
    weighed = json.loads((scene.run(options.group) / "weighed.json").read_text())
    radius = options.ball_size * transforms.read(scene.transforms).region.radius
    balls = [trimesh.creation.icosphere(1, radius) for _ in weighed]
    for ball, one in zip(balls, weighed, strict=True):
        ball.apply_translation(one["center"])
    path = scene.results / f"{scene.name}.ply"
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh = trimesh.util.concatenate(balls)
    mesh.export(path)
    return Report([path], numbers={"faces": len(mesh.faces)}, kinds={path: outputs.MESH})


STAGE = Stage(
    "balls",
    version=1,
    run=run,
    parameters=("ball_size",),
    reads=("group",),
    after=("weigh",),
    facts=("region",),
    packages=("trimesh",),
)
