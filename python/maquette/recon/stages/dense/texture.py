"""Stage `texture`: the mesh that came last gets the photographs' colours."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path

from maquette.errors import NotFound
from maquette.pipelines.texture import TextureOptions
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.texture.options import PIXELS_KEPT_BYTES, told_by
from maquette.recon.texture.publishing import fidelity, shortfall, write_files
from maquette.recon.texture.texturing import texture_mesh
from maquette.recon.views.views import Views
from maquette.scene import georeference, outputs, stage_records, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report, Stage

OBJ = "textured.obj"
_OPTIONS = tuple(item.name for item in fields(TextureOptions))
# The meshes of this pipeline, the best first, each with the stage that makes it.
_MESHES = (
    ("refined.ply", "refined"),
    ("smoothed.ply", "filtered"),
    ("filtered.ply", "filtered"),
    ("mesh.ply", "surface"),
)


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
    chosen = told_by({name: getattr(options, name) for name in _OPTIONS})
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


def chosen_mesh(scene: Scene) -> Path:
    """The best mesh that a stage of this scene tells of.

    Raises:
        NotFound: there is none.
    """
    for name, stage in _MESHES:
        path, record = scene.results / name, stage_records.read(scene, stage)
        if record and scene.relative(path) in record.outputs and path.is_file():
            return path
    raise NotFound(
        f"there is no mesh to texture in `{scene.name}`",
        hint=f"`make extract PIPELINE={scene.pipeline} MODEL={scene.name}` makes one",
    )


STAGE = Stage(
    name="texture",
    version=1,
    run=run,
    parameters=_OPTIONS,
    facts=("cameras", "masks", "georeference"),
    files=lambda scene, options: (chosen_mesh(scene),),
    packages=("embreex", "pillow", "plyfile", "scipy"),
)
