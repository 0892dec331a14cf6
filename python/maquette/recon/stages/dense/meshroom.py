"""Stage `meshroom`: what Meshroom made comes under our names, into the scene's world and region.

Meshroom's files lie in `meshroom/<GROUP>/` of the scene: `cache/<node>/<uid>/`, `published/`, and
the project of its last run, `extracted.mg`, which tells the nodes' uids.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import JobFailed
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh, keep_faces, renumbered, vertex_normals
from maquette.recon.mesh.writing import counts, write_both
from maquette.recon.mvs.meshroom_files import result_files
from maquette.recon.sfm.alicevision import Placement, place, read_centers
from maquette.recon.stages.dense import STAGES
from maquette.recon.texture.obj_reading import read_textured_obj
from maquette.recon.texture.publishing import write_files
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.scene import colmap_model, georeference, outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["meshroom"]

_SMALL_SHARE = 0.02  # of the region's radius, by which its cameras or surface may be off
_ROUNDS = 4


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `mesh`, `filtered`, `textured.obj` and the .glb, and `decimated` where it is wanted.

    Raises:
        NotFound: Meshroom left no mesh.
        BadInput: it has too few cameras in common with the scene, or a file is damaged.
        JobFailed: nothing of its mesh lies in the region.
    """
    raw_path, filtered_path, textured_path, sfm = result_files(scene, options.group)
    cameras = transforms.read(scene.transforms)
    progress.step("cameras", 0, _ROUNDS)
    filtered = read_mesh(filtered_path)
    placement = place(
        read_centers(sfm),
        {Path(frame.file_path).name: frame.world_from_cam[:3, 3] for frame in cameras.frames},
        np.asarray(filtered.vertices, dtype=np.float64),
        _points(scene, cameras.region),
    )
    kinds: dict[Path, str] = {}
    progress.step("mesh", 1, _ROUNDS)
    raw = _brought(read_mesh(raw_path), placement, cameras.region)
    kinds |= dict.fromkeys(write_both(scene.results / "mesh", raw), outputs.MESH)
    progress.step("filtered", 2, _ROUNDS)
    filtered = _brought(filtered, placement, cameras.region)
    kinds |= dict.fromkeys(write_both(scene.results / "filtered", filtered), outputs.MESH)
    if wanted := int(options.faces or round(options.decimate * len(filtered.faces))):
        small = write_both(scene.results / "decimated", decimated(filtered, wanted))
        kinds |= dict.fromkeys(small, outputs.REDUCED_MESH)
    progress.step("textured", 3, _ROUNDS)
    textured = _brought_textured(read_textured_obj(textured_path), placement, cameras.region)
    obj, glb = scene.results / "textured.obj", scene.results / f"{scene.name}.glb"
    files = write_files(
        textured, cameras.frames, obj, glb, scene.name, georeference.read(scene.georeference)
    )
    kinds |= {obj: outputs.MESH, glb: outputs.MESH}
    progress.step("textured", _ROUNDS, _ROUNDS)
    numbers = {
        **counts(filtered),
        "pages": len(textured.pages),
        "cameras": placement.cameras,
        "cameras_off": round(placement.camera_error / cameras.region.radius, 5),
        "points_off": round(placement.point_error / cameras.region.radius, 5),
    }
    made = [*dict.fromkeys([*kinds, *files])]
    return Report(made, numbers=numbers, remarks=_remarks(numbers), kinds=kinds)


def _points(scene: Scene, region: Region) -> NDArray[np.float64]:
    """The scene's points in the region, [P, 3]."""
    points = colmap_model.read(scene.sparse).points
    return points[region.contains(points)]


def _brought(mesh: TriangleMesh, placement: Placement, region: Region) -> TriangleMesh:
    """A mesh file's part in the region, in the scene's world."""
    moved = TriangleMesh(placement.apply(mesh.vertices), mesh.faces, None, mesh.colors)
    kept = keep_faces(moved, _inside(moved, region))
    return replace(kept, normals=vertex_normals(kept))


def _brought_textured(textured: TexturedMesh, placement: Placement, region: Region) -> TexturedMesh:
    moved = TriangleMesh(placement.apply(textured.mesh.vertices), textured.mesh.faces)
    kept = _inside(moved, region)
    used, corners = renumbered(textured.corners[kept], len(textured.coordinates))
    return TexturedMesh(
        keep_faces(moved, kept),
        textured.coordinates[used],
        corners,
        textured.page_of_face[kept],
        textured.pages,
    )


def _inside(mesh: TriangleMesh, region: Region) -> NDArray[np.bool_]:
    """Which faces [F] lie in the region with all their corners.

    Raises:
        JobFailed: none.
    """
    inside = np.asarray(region.contains(mesh.vertices)[mesh.faces].all(axis=1))
    if not inside.any():
        raise JobFailed(
            f"nothing of Meshroom's {len(mesh.faces):,} faces lies in the region",
            hint="look at the region with `make adjust`",
        )
    return inside


def _remarks(numbers: dict[str, object]) -> list[str]:
    """Sentences about a mesh that may lie in the wrong place."""
    said = {"cameras_off": "cameras lie", "points_off": "surface lies"}
    return [
        f"Meshroom's {what} {share:.1%} of the region's radius off the scene's own, in the median: "
        "compare them with `make view`"
        for name, what in said.items()
        if isinstance(share := numbers[name], float) and share > _SMALL_SHARE
    ]
