"""Stage `pictures`: the mesh that came last from where it was filmed, as one picture."""

from __future__ import annotations

from functools import partial

from maquette.recon.evaluate.results import find_surface
from maquette.recon.pictures.publishing import write_sheet
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["pictures"]


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>_views.png` among the results."""
    mesh_file = find_surface(scene).path
    path, numbers = write_sheet(scene, mesh_file, partial(progress.step, "views"))
    return Report([path], numbers={"mesh": mesh_file.name} | numbers, kinds={path: outputs.PICTURE})
