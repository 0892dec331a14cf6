"""Stage `pictures`: the mesh from where it was filmed, as one picture."""

from __future__ import annotations

import time
from pathlib import Path

from maquette.pipelines.options import StepOptions
from maquette.recon.mesh.coarsening import coarsened
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.upright import up_direction
from maquette.recon.pictures.capture import Cameras
from maquette.recon.pictures.contact_sheet import draw_sheet
from maquette.scene import originals, outputs, transforms
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report, Stage

_MOST_FACES = 3_000_000  # of a mesh that is drawn as it is
_CELLS = 1024  # along a larger one


def run(scene: Scene, options: StepOptions, progress: Progress) -> Report:
    """Write `<MODEL>_views.png` from `<MODEL>.ply`, among the results."""
    clock = time.monotonic()
    cameras = transforms.read(scene.transforms)
    mesh = read_mesh(scene.results / f"{scene.name}.ply")
    if len(mesh.faces) > _MOST_FACES:
        mesh = coarsened(mesh, _CELLS)
    names = originals.names(scene, [Path(frame.file_path).name for frame in cameras.frames])
    sheet = draw_sheet(
        mesh,
        cameras.region,
        up_direction(cameras.frames),
        Cameras.of(cameras.frames, names),
        lambda done, total: progress.step("views", done, total),
    )
    path = scene.results / f"{scene.name}_views.png"
    with replacing(path) as temporary:
        sheet.save(temporary)
    seconds = round(time.monotonic() - clock, 2)
    numbers = {"width": sheet.width, "height": sheet.height, "seconds": seconds}
    return Report([path], numbers=numbers, kinds={path: outputs.PICTURE})


STAGE = Stage(
    name="pictures",
    version=3,
    run=run,
    after=("mesh",),
    facts=("cameras", "region"),
    packages=("embreex", "pillow", "plyfile", "trimesh"),
)
