"""Stage `mesh`: a trained surface becomes a triangle mesh in world units.

A shard lays the surface in slabs of the grid's blocks. What slabs share is found before and lies,
as what they make, beside the shards' records until the stage is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.errors import BadInput, JobFailed
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.recon import gpus
from maquette.recon.mesh.attributes import to_world, with_colors, with_normals
from maquette.recon.mesh.blocks import Grid, check_limits
from maquette.recon.mesh.cleaning import drop_degenerate, is_watertight, largest_component
from maquette.recon.mesh.clipping import clip_to_ball
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.gltf_file import TooLargeForGlb
from maquette.recon.mesh.loose_parts import drop_loose
from maquette.recon.mesh.parts import Parts, parts_of, remark_on
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.slab_parts import SlabParts
from maquette.recon.mesh.surface_protocol import Surface
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.unseen import Treated, grey_where_unseen, treat_unseen
from maquette.recon.mesh.upright import up_direction
from maquette.recon.mesh.visibility import Mask
from maquette.recon.mesh_refinement.refinement import Refinement, refine
from maquette.recon.mesh_refinement.scene_photos import ScenePhotos
from maquette.recon.mvs import shards
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.plan import TRAINING, suggested_side
from maquette.recon.mvs.sky_files import read_sky
from maquette.recon.pictures.capture import Cameras, is_circled
from maquette.recon.stages.surface import STAGES, chosen_checkpoint, sky_told
from maquette.recon.views.images import mask_reader
from maquette.scene import checkpoints, georeference, outputs, region_file, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame
from maquette.stages.keys import of_file
from maquette.stages.stage import Report

STAGE = STAGES["mesh"]

_TOLERANCE_CELLS = 2.0  # by which the surface may hide itself: its own noise
_MASK_LONG_SIDE = 1024  # pixels
_MOST_REFINED = 1_000_000  # vertices that are moved unasked: a kilobyte each, and minutes
# It is near already, and RESOLUTION tells how fine it is to be.
_REFINEMENT = Refinement(rounds=(6,), edge_px=0.0, free_share=0.15, smoothness=2.0)


def split(scene: Scene, options: ExtractOptions) -> list[dict[str, Any]]:
    """The slabs of each shard: the first, and the one after the last.

    Raises:
        ConfigError: RESOLUTION or BLOCK_RES is unusable.
        BadInput: the sphere is not the one that the model was trained in.
    """
    check_limits(options.resolution, options.block_res)
    name = _name(scene, options)
    parts = _parts(scene, options, name)
    if parts.lacking_planes:
        parts.find_planes(_open(scene, options).signed_distance)
    return [{"of": name, "slabs": list(share)} for share in parts.shares]


def run(
    scene: Scene, options: ExtractOptions, item: dict[str, Any], progress: Progress
) -> Sequence[Path]:
    """Lay the surface in some slabs, into a file of its own."""
    shards.share_threads(options.workers)
    first, end = item["slabs"]
    surface = _open(scene, options, first)
    parts, told = _parts(scene, options, item["of"]), partial(progress.step, "blocks")
    return [parts.lay(surface.signed_distance, (first, end), told)]


def inputs(
    scene: Scene, options: ExtractOptions, items: Sequence[dict[str, Any]]
) -> list[list[Path]]:
    """The checkpoint, the region, and the planes at the sides of each shard's slabs."""
    pointer = scene.run(options.group) / checkpoints.POINTER
    given = [scene.transforms, chosen_checkpoint(scene, options).path]
    given += [pointer] if pointer.is_file() else []
    return [
        [*given, *_parts(scene, options, item["of"]).planes_of(item["slabs"])] for item in items
    ]


def merge(scene: Scene, options: ExtractOptions, progress: Progress) -> Report:
    """Join the parts and write `<MODEL>.ply` and `.glb`.

    Raises:
        JobFailed: there is no surface in the region.
    """
    cameras = transforms.read(scene.transforms)
    choice = chosen_checkpoint(scene, options)
    if choice.remark:
        progress.warn(choice.remark)
    surface = _open(scene, options)
    laid = _parts(scene, options, _name(scene, options)).joined()
    closed = _unit_mesh(laid, surface, options, scene.name)
    treated = _treat_unseen(closed, cameras, scene, options, progress)
    refined = _refine(treated, cameras, scene, options, progress)
    unit = with_colors(refined.mesh, surface) if options.textured else refined.mesh
    mesh, parts = to_world(grey_where_unseen(unit), cameras.region), parts_of(unit)
    ply, glb = scene.results / f"{scene.name}.ply", scene.results / f"{scene.name}.glb"
    progress.step("write", 0, 2)
    write_ply(ply, mesh, ("maquette; COLMAP world units",))
    not_written = _write_glb(glb, mesh, cameras.frames, scene, progress)
    progress.step("write", 2, 2)
    numbers = (
        _numbers(mesh, parts, ply)
        | refined.numbers
        | {
            "checkpoint": choice.path.name,
            "iteration": surface.iteration,
        }
    )
    remarks = [choice.remark, remark_on(parts), refined.remark, not_written]
    written = [ply] if not_written else [ply, glb]
    kinds = dict.fromkeys(written, outputs.MESH)
    return Report(outputs=written, numbers=numbers, remarks=[*filter(None, remarks)], kinds=kinds)


def _write_glb(
    path: Path, mesh: TriangleMesh, frames: Sequence[Frame], scene: Scene, progress: Progress
) -> str:
    """Write it where it can be; else remove the one of before and say why."""
    try:
        place = georeference.read(scene.georeference)
        write_glb(path, mesh, up_direction(frames, place.up), scene.name, place)
    except TooLargeForGlb as error:
        path.unlink(missing_ok=True)
        progress.warn(str(error))
        return str(error)
    return ""


def check_region(trained: Region, current: Region, checkpoint: Path) -> None:
    """Refuse a model of another sphere: its mesh would come out shifted and scaled.

    Raises:
        BadInput: the two differ by more than their boxes.
    """
    if trained.sphere_digest == current.sphere_digest:
        return
    raise BadInput(
        f"the region changed after `{checkpoint.name}` was trained",
        detail=f"trained in: {region_file.describe(trained)}\n"
        f"transforms.json: {region_file.describe(current)}",
        hint="run `make process` with FRESH=1, or `make region` to see both and set it back",
    )


def load(checkpoint: Path, device: str) -> Surface:
    """Open a checkpoint of the native engine."""
    from maquette.recon.surface import engine

    return engine.load(checkpoint, device)


def _open(scene: Scene, options: ExtractOptions, part: int = 0) -> Surface:
    """The chosen checkpoint, which is of the sphere that the scene has."""
    path = chosen_checkpoint(scene, options).path
    surface = load(path, str(gpus.device_of(options.gpus, part)))
    check_region(surface.region, transforms.read(scene.transforms).region, path)
    return surface


def _name(scene: Scene, options: ExtractOptions) -> str:
    """What the surface is made of and where, as a name."""
    checkpoint = of_file(chosen_checkpoint(scene, options).path)
    laid_in = transforms.read(scene.transforms).region.digest
    return digest([STAGE.version, options.resolution, options.block_res, checkpoint, laid_in])[:12]


def _parts(scene: Scene, options: ExtractOptions, name: str) -> SlabParts:
    """The parts of the surface, beside the records of the shards that make them."""
    folder = scene.records(scene.pipeline) / STAGE.name
    grid = Grid.over(transforms.read(scene.transforms).region.unit_box(), options.resolution)
    return SlabParts(folder, name, grid, options.block_res)


def _unit_mesh(
    laid: TriangleMesh, surface: Surface, options: ExtractOptions, name: str
) -> TriangleMesh:
    """The whole surface in unit space, with normals."""
    mesh = drop_degenerate(clip_to_ball(laid))
    if len(mesh.faces) == 0:
        raise JobFailed(
            f"the model of `{name}` has no surface inside the region",
            detail="the signed distance has one sign throughout the sphere and box",
            hint="train longer (`make process ITERATIONS=…`), or check the region",
        )
    if options.keep_lcc:
        mesh = largest_component(mesh)
    return with_normals(mesh, surface.signed_distance, 2.0 / options.resolution)


def _shown_in(scene: Scene, frames: Sequence[Frame], group: str) -> Mask:
    """Which pixels of the photos show something of the scene: used ones without sky."""
    used, sky = mask_reader(scene, frames, _MASK_LONG_SIDE), read_sky(sky_told(scene, group))

    def shown(number: int) -> NDArray[np.bool_] | None:
        mask, above = used(number), sky.get(Path(frames[number].file_path).name)
        if above is None or mask is None:
            return mask if above is None else ~above
        size = mask.shape[::-1]
        return mask & ~np.asarray(Image.fromarray(above).resize(size, Image.Resampling.NEAREST))

    return shown


def _treat_unseen(
    mesh: TriangleMesh,
    cameras: transforms.Transforms,
    scene: Scene,
    options: ExtractOptions,
    progress: Progress,
) -> Treated:
    """What UNSEEN and KEEP_LCC ask for, in unit space."""
    progress.step("unseen", 0, 1)
    region, frames = cameras.region, cameras.frames
    poses = [frame.world_from_cam.copy() for frame in frames]
    for pose in poses:
        pose[:3, 3] = region.unit_from_world(pose[:3, 3])
    in_unit = [
        replace(frame, world_from_cam=pose) for frame, pose in zip(frames, poses, strict=True)
    ]
    mask = _shown_in(scene, frames, options.group)
    tolerance = _TOLERANCE_CELLS * 2.0 / options.resolution
    treated = treat_unseen(mesh, options.unseen, in_unit, mask, tolerance)
    if treated.is_blind:
        progress.warn(treated.remark)
    elif options.keep_lcc:
        treated = replace(treated, mesh=largest_component(treated.mesh))
    elif options.unseen != "keep":
        left = drop_loose(treated.mesh, in_unit, mask, tolerance, region.unit_box())
        remark = "; ".join(filter(None, [treated.remark, left.remark]))
        treated = Treated(left.mesh, treated.numbers | left.numbers, remark)
    progress.step("unseen", 1, 1)
    return treated


def _refine(
    treated: Treated,
    cameras: transforms.Transforms,
    scene: Scene,
    options: ExtractOptions,
    progress: Progress,
) -> Treated:
    """The mesh moved to where the photos agree on it best, as far as they tell.

    Where few photos see a place, or from near one another, what they agree on best is rough: so
    unless a person asks for it, it is done for what was filmed from all around.
    """
    device, region = gpus.device_of(options.gpus), cameras.region
    names = [frame.file_path for frame in cameras.frames]
    up = up_direction(cameras.frames, georeference.read(scene.georeference).up)
    circled = is_circled(Cameras.of(cameras.frames, names), region, up)
    is_wanted = circled if options.refine == "auto" else options.refine == "1"
    if not is_wanted or treated.is_blind:
        return treated
    if options.refine == "auto" and len(treated.mesh.vertices) > _MOST_REFINED:
        progress.say(
            f"{len(treated.mesh.vertices):,} vertices stay as trained: REFINE=1 moves them"
        )
        return treated
    try:
        side = suggested_side(device.type == "cuda")
        photos = ScenePhotos.of(scene, cameras.frames, side, TRAINING)
    except BadInput as error:
        if options.refine == "1":
            raise
        progress.say(f"the mesh stays as trained: {error.what}")
        return treated
    mesh = treated.mesh
    found = refine(
        replace(mesh, vertices=region.world_from_unit(mesh.vertices)),
        photos.pictures, photos.pairs, _REFINEMENT, device,
        lambda done, total, energy: progress.step("refined", done, total),
    )  # fmt: skip
    if not np.isfinite(found.energies[-1]):
        return treated
    moved = region.unit_from_world(found.mesh.vertices).astype(mesh.vertices.dtype)
    left = ~region.contains(found.mesh.vertices)
    moved[left] = mesh.vertices[left]
    return replace(
        treated,
        mesh=replace(mesh, vertices=moved, normals=found.mesh.normals),
        numbers=treated.numbers
        | {
            "misfit_before": round(found.energies[0], 5),
            "misfit_after": round(found.energies[-1], 5),
        },
    )


def _numbers(mesh: TriangleMesh, parts: Parts, ply: Path) -> dict[str, Any]:
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "components": parts.count,
        "largest_component_share": round(parts.largest_share, 4),
        "watertight": is_watertight(mesh),
        "extent": [round(float(length), 6) for length in mesh.extent],
        "size_bytes": ply.stat().st_size,
    }
