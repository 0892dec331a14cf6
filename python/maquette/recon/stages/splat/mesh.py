"""Stage `mesh`: a mesh through the surface of the cleaned splats, where it is asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

from maquette.errors import JobFailed
from maquette.recon import gpus
from maquette.recon.mesh.attributes import to_world
from maquette.recon.mesh.blocks import check_limits
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.tsdf import TsdfOptions
from maquette.recon.mesh.upright import up_direction
from maquette.recon.mesh.writing import counts
from maquette.recon.splats.meshing import mesh_of
from maquette.recon.splats.trained import read_trained
from maquette.recon.stages.splat import STAGES
from maquette.recon.views.views import Views
from maquette.scene import georeference, outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["mesh"]

_LONG_SIDE_PX = 1200  # of the depth that is rendered


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>_mesh.ply` and `.glb` for WITH_MESH, else take away earlier ones.

    Raises:
        ConfigError: RESOLUTION is outside its limits.
        BadInput: the master is damaged.
        JobFailed: the splats have no surface in the region.
    """
    ply, glb = (scene.results / f"{scene.name}_mesh.{suffix}" for suffix in ("ply", "glb"))
    if not options.with_mesh:
        for path in (ply, glb):
            path.unlink(missing_ok=True)
        return Report(())
    if options.resolution:
        check_limits(options.resolution, TsdfOptions.block_res)
    trained = read_trained(scene.results / f"{scene.name}.ply")
    cameras = transforms.read(scene.transforms)
    splats = trained.gaussians.to(gpus.device_of(options.gpus))
    views = Views(scene, cameras.frames, _LONG_SIDE_PX)
    with tempfile.TemporaryDirectory(prefix="maquette-depths-") as folder:
        found = mesh_of(
            splats, views.frames, cameras.region, options.resolution, Path(folder),
            progress.step, views.mask,
        )  # fmt: skip
    if not len(found.mesh.faces):
        raise JobFailed(
            f"the splats of `{scene.name}` have no surface in the region",
            detail=f"{len(trained.gaussians):,} splats, {len(cameras.frames)} cameras, "
            f"{found.resolution:,} cells along the region",
            hint=f"look at the splats with `make view MODEL={scene.name}`; train longer "
            "(`make process ITERATIONS=…`), or leave WITH_MESH out",
        )
    mesh = to_world(found.mesh, cameras.region)
    write_ply(ply, mesh, ("maquette; COLMAP world units",))
    place = georeference.read(scene.georeference)
    write_glb(glb, mesh, up_direction(cameras.frames, place.up), scene.name, place)
    numbers = {"resolution": found.resolution, "iteration": trained.iteration, **counts(mesh)}
    kinds = {ply: outputs.MESH, glb: outputs.MESH}
    remarks = [*filter(None, [found.remark])]
    return Report(list(kinds), numbers=numbers, remarks=remarks, kinds=kinds)
