"""Stage `texture`: the mesh that came last gets the photographs' colours."""

from __future__ import annotations

from functools import partial

from maquette.recon.mesh.reading import read_mesh
from maquette.recon.stages.dense import STAGES, chosen_mesh
from maquette.recon.texture.options import PIXELS_KEPT_BYTES, told_by
from maquette.recon.texture.publishing import fidelity, shortfall, write_files
from maquette.recon.texture.texturing import texture_mesh
from maquette.recon.views.views import Views
from maquette.scene import georeference, outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["texture"]

OBJ = "textured.obj"


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `textured.obj` with its .mtl and pages, and `<MODEL>.glb`.

    Raises:
        NotFound: there is no mesh yet.
        BadInput: no photo shows any of it.
        ConfigError: the texture does not fit into this machine's memory.
    """
    cameras = transforms.read(scene.transforms)
    path = chosen_mesh(scene)
    mesh, views = read_mesh(path), Views(scene, cameras.frames, limit_bytes=PIXELS_KEPT_BYTES)
    chosen = told_by({name: getattr(options, name) for name in STAGE.parameters})
    made = texture_mesh(mesh, views, chosen, progress.step)
    close = fidelity(made.textured, views, partial(progress.step, "fidelity"))
    obj, glb = scene.results / OBJ, scene.results / f"{scene.name}.glb"
    progress.step("write", 0, 1)
    files = write_files(
        made.textured, cameras.frames, obj, glb, scene.name, georeference.read(scene.georeference)
    )
    progress.step("write", 1, 1)
    numbers = {"mesh": path.name, "faces": len(mesh.faces)} | made.numbers | close
    remarks = [*filter(None, [shortfall(made.numbers)])]
    for remark in remarks:
        progress.say(remark)
    kinds = {obj: outputs.MESH, glb: outputs.MESH}
    return Report(files, numbers=numbers, remarks=remarks, kinds=kinds)
