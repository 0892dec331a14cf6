"""Stage `weigh`: how large each ball is, by how far its camera is from the middle."""

from __future__ import annotations

import json
import math

from maquette.scene import transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write centre and distance of each ball."""
    middle = transforms.read(scene.transforms).region.center
    folder = scene.run(options.group)
    picked = json.loads((folder / "picked.json").read_text())
    path = folder / "weighed.json"
    weighed = []
    for done, center in enumerate(picked, 1):
        weighed.append({"center": center, "distance": math.dist(center, middle)})
        progress.step("balls", done, len(picked))
    write_json(path, weighed)
    return Report([path], numbers={"balls": len(weighed)})


STAGE = Stage(
    "weigh", version=1, run=run, reads=("group",), after=("pick",), facts=("cameras", "region")
)
