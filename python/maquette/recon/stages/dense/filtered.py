"""Stage `filtered`: the raw surface tidied, smoothed, and smaller where a person asks for it."""

from __future__ import annotations

from typing import Any

from maquette.counting import counted
from maquette.errors import JobFailed
from maquette.recon.mesh.cleaning import drop_crumbs, drop_long, largest_component
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.holes import close_holes
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.smoothing import denoise, smooth
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.writing import counts, write_both
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["filtered"]

_LEAST_FACES = 20  # of a part that stands alone
_DENOISE_DEG = 20.0  # σ of the weight by the angle between normals
_ROUNDS = 5


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `filtered` and `smoothed`, and `decimated` for FACES or DECIMATE, as PLY and OBJ.

    Raises:
        BadInput: `mesh.ply` is damaged.
        JobFailed: nothing of it is left.
    """
    raw = read_mesh(scene.results / "mesh.ply")
    progress.step("mesh", 0, _ROUNDS)
    filtered, numbers = _filtered(raw, options)
    if not len(filtered.faces):
        raise _nothing_left(len(raw.faces), numbers, options)
    progress.step("mesh", 1, _ROUNDS)
    kinds = dict.fromkeys(write_both(scene.results / "filtered", filtered), outputs.MESH)
    progress.step("mesh", 2, _ROUNDS)
    smoothed = denoise(filtered, options.denoise, _DENOISE_DEG)
    progress.step("mesh", 3, _ROUNDS)
    kinds |= dict.fromkeys(write_both(scene.results / "smoothed", smoothed), outputs.MESH)
    progress.step("mesh", 4, _ROUNDS)
    numbers |= counts(smoothed)
    wanted = int(options.faces or round(options.decimate * len(smoothed.faces)))
    if not wanted:
        for suffix in (".ply", ".obj"):  # of an earlier run
            (scene.results / f"decimated{suffix}").unlink(missing_ok=True)
    else:
        small = decimated(smoothed, wanted)
        paths = write_both(scene.results / "decimated", small)
        kinds |= dict.fromkeys(paths, outputs.REDUCED_MESH)
        numbers["decimated_faces"] = len(small.faces)
    progress.step("mesh", _ROUNDS, _ROUNDS)
    return Report(list(kinds), numbers=numbers, kinds=kinds)


def _filtered(raw: TriangleMesh, options: DeclaredOptions) -> tuple[TriangleMesh, dict[str, Any]]:
    short = drop_long(raw, options.long_faces)
    kept = largest_component(short) if options.keep_lcc else drop_crumbs(short, _LEAST_FACES)
    closed, holes = close_holes(kept, options.holes)
    numbers = {
        "long_faces": len(raw.faces) - len(short.faces),
        "loose_faces": len(short.faces) - len(kept.faces),
        "closed_holes": holes,
    }
    return smooth(closed, options.smooth), numbers


def _nothing_left(faces: int, numbers: dict[str, Any], options: DeclaredOptions) -> JobFailed:
    what = f"nothing of the {counted(faces, 'face')} of `mesh.ply` is left"
    if numbers["long_faces"] == faces:
        return JobFailed(
            f"{what}: each has an edge of LONG_FACES={options.long_faces:g} times the usual one",
            hint="its default is LONG_FACES=60",
        )
    return JobFailed(
        f"{what}: all lie in parts of fewer than {_LEAST_FACES} faces",
        hint="more cells along the region find more of them: a larger RESOLUTION, or a smaller "
        "region (`make adjust`)",
    )
