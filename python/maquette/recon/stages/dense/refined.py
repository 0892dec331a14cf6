"""Stage `refined`: the mesh moved to where the photos agree on it best, for REFINE=1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mesh.obj import write_obj
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh_refinement.pictures import Pictures
from maquette.recon.mesh_refinement.refinement import Refined, Refinement, refine
from maquette.recon.mvs.shards import Material
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["refined"]

_SOURCES = 4  # photos that each is compared with
_COMMENTS = ("maquette; COLMAP world units",)


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `refined.ply` and `.obj`; without REFINE=1 nothing.

    Raises:
        BadInput: no photo sees the mesh, or it is damaged.
    """
    ply = scene.results / "refined.ply"
    obj = ply.with_suffix(".obj")
    if not options.refine:
        ply.unlink(missing_ok=True)  # of an earlier run: not to be taken for this one's
        obj.unlink(missing_ok=True)
        return Report([], numbers={"refined": False})
    start = read_mesh(scene.results / "smoothed.ply")
    found = _refine(scene, options, start, progress)
    if not np.isfinite(found.energies[-1]):
        raise BadInput(
            f"no two photos see the mesh of `{scene.name}`",
            detail="`smoothed.ply` lies outside all pictures, or masks exclude it",
            hint=f"look at both with `make view MODEL={scene.name}`, or leave out REFINE=1",
        )
    mesh = _with_colors(found.mesh, start)
    write_ply(ply, mesh, _COMMENTS)
    write_obj(obj, mesh, _COMMENTS)
    kinds = {ply: outputs.MESH, obj: outputs.MESH}
    return Report([ply, obj], numbers=_numbers(found, start), kinds=kinds)


def _refine(
    scene: Scene, options: DeclaredOptions, start: TriangleMesh, progress: Progress
) -> Refined:
    material = Material.of(scene, options.group)
    plan = material.plan
    views = plan.views
    place = {view: number for number, view in enumerate(views)}
    pairs = [
        [place[other] for other in plan.sources(view) if other in place][:_SOURCES]
        for view in views
    ]
    frames = [material.frames[view] for view in views]
    pictures = Pictures(frames, lambda number: material.grey(views[number]))
    refinement = Refinement(
        rounds=tuple(map(int, options.refine_rounds.split())),
        smoothness=options.refine_smoothness,
        step_px=options.refine_step,
    )

    def told(done: int, total: int, energy: float) -> None:
        known = {"misfit": round(energy, 5)} if np.isfinite(energy) else {}
        progress.step("views", done, total, **known)

    return refine(start, pictures, pairs, refinement, gpus.device_of(options.gpus), told)


def _with_colors(mesh: TriangleMesh, start: TriangleMesh) -> TriangleMesh:
    """The start's colours: its vertices are the first, others take the nearest one's."""
    if start.colors is None:
        return mesh
    added = mesh.vertices[len(start.vertices) :]
    colors = start.colors
    if len(added):
        _, nearest = cKDTree(start.vertices).query(added, workers=-1)
        colors = np.concatenate([colors, colors[nearest]])
    return replace(mesh, colors=colors)


def _numbers(found: Refined, start: TriangleMesh) -> dict[str, Any]:
    moved = np.linalg.norm(found.mesh.vertices[: len(start.vertices)] - start.vertices, axis=1)
    return {
        "refined": True,
        "vertices": len(found.mesh.vertices),
        "faces": len(found.mesh.faces),
        "misfit_before": round(found.energies[0], 5),
        "misfit_after": round(found.energies[-1], 5),
        "mean_move": float(f"{moved.mean():.4g}"),
        "largest_move": float(f"{moved.max():.4g}"),
    }
