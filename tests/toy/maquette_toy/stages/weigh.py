"""Stage `weigh`: how far each ball's camera is from the middle, four balls a shard."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path

from maquette.errors import BadInput
from maquette.scene import transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Sharding, Stage

AT_ONCE = 4


def split(scene: Scene, options: DeclaredOptions) -> list[int]:
    """The first ball of each shard."""
    picked = json.loads((scene.run(options.group) / "picked.json").read_text())
    return list(range(0, len(picked), AT_ONCE))


def run(scene: Scene, options: DeclaredOptions, first: int, progress: Progress) -> Sequence[Path]:
    """Write centre and distance of each ball of a shard; not while a file `held-<first>` is there.

    Raises:
        BadInput: a file `cursed-<first>` lies in the scene.
    """
    if (scene.root / f"cursed-{first}").exists():
        raise BadInput(f"the balls from {first} on are cursed", hint="lift the curse")
    while (scene.root / f"held-{first}").exists():
        progress.step("held", 0, 1)
        threading.Event().wait(0.05)
    middle = transforms.read(scene.transforms).region.center
    picked = json.loads((scene.run(options.group) / "picked.json").read_text())
    balls = picked[first : first + AT_ONCE]
    path = scene.run(options.group) / "weighed" / f"{first:04}.json"
    path.parent.mkdir(exist_ok=True)
    write_json(path, [{"center": each, "distance": math.dist(each, middle)} for each in balls])
    return [path]


def inputs(scene: Scene, options: DeclaredOptions, items: Sequence[int]) -> list[list[Path]]:
    """What was picked, the region, and what stands in a shard's way."""
    shared = [scene.run(options.group) / "picked.json", scene.transforms]
    return [
        [*shared, *(scene.root / f"{word}-{first}" for word in ("cursed", "held"))]
        for first in items
    ]


def merge(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write all of them as one list."""
    folder = scene.run(options.group)
    parts = [folder / "weighed" / f"{first:04}.json" for first in split(scene, options)]
    weighed = [ball for part in parts for ball in json.loads(part.read_text())]
    path = folder / "weighed.json"
    write_json(path, weighed)
    return Report([path], numbers={"balls": len(weighed)})


STAGE = Stage(
    "weigh",
    version=1,
    run=Sharding(split, run, merge, inputs=inputs),
    reads=("group",),
    after=("pick",),
    facts=("cameras", "region"),
)
