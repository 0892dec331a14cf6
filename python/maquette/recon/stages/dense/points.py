"""Stage `points`: the fused points among the results."""

from __future__ import annotations

import shutil

from maquette.scene import outputs
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Copy `fused.ply` of the dense workspace to `<MODEL>_points.ply`."""
    path = scene.results / f"{scene.name}_points.ply"
    with replacing(path) as temporary:
        shutil.copyfile(scene.dense(options.group) / "fused.ply", temporary)
    return Report([path], kinds={path: outputs.POINTS})


STAGE = Stage("points", 1, run, parameters=("group",), after=("fuse",))
