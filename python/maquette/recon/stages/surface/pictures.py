"""Stage `pictures`: the mesh from where it was filmed, as one picture."""

from __future__ import annotations

from functools import partial

from maquette.pipelines.options import StepOptions
from maquette.recon.pictures.publishing import write_sheet
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report, Stage


def run(scene: Scene, options: StepOptions, progress: Progress) -> Report:
    """Write `<MODEL>_views.png` from `<MODEL>.ply`, among the results."""
    mesh_file = scene.results / f"{scene.name}.ply"
    path, numbers = write_sheet(scene, mesh_file, partial(progress.step, "views"))
    return Report([path], numbers=numbers, kinds={path: outputs.PICTURE})


STAGE = Stage(
    name="pictures",
    version=3,
    run=run,
    after=("mesh",),
    facts=("cameras", "region", "georeference"),
    packages=("embreex", "pillow", "plyfile", "trimesh"),
)
