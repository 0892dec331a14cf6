"""Stage `pictures`: the mesh from where it was filmed, as one picture."""

from __future__ import annotations

from functools import partial

from maquette.pipelines.options import StepOptions
from maquette.recon.pictures.publishing import write_sheet
from maquette.recon.stages.surface import STAGES
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["pictures"]


def run(scene: Scene, options: StepOptions, progress: Progress) -> Report:
    """Write `<MODEL>_views.png` from `<MODEL>.ply`, among the results."""
    mesh_file = scene.results / f"{scene.name}.ply"
    path, numbers = write_sheet(scene, mesh_file, partial(progress.step, "views"))
    return Report([path], numbers=numbers, kinds={path: outputs.PICTURE})
