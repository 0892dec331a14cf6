"""Stage `surface`: depth maps or points become a mesh of the region, `mesh.ply` and `mesh.obj`.

A TSDF falls into shards of blocks, a surface of Poisson is one shard. What they make lies beside
their records until the stage is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maquette.errors import JobFailed
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh import bricks
from maquette.recon.mesh.attributes import to_world
from maquette.recon.mesh.blocks import RESOLUTION_LIMITS, Grid, check_limits, divide
from maquette.recon.mesh.cleaning import drop_degenerate
from maquette.recon.mesh.clipping import clip_to_ball, clip_to_box
from maquette.recon.mesh.coloring import colored_by_points
from maquette.recon.mesh.patches import Patch, joined, read_patches, write_patches
from maquette.recon.mesh.poisson import PoissonOptions, depth_for, octree_remark, reconstruct
from maquette.recon.mesh.resolution import CELL_PX, resolution_for
from maquette.recon.mesh.surface_plan import SurfacePlan
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.mesh.tsdf import Tsdf, TsdfOptions, near_bricks
from maquette.recon.mesh.unseen import Treated, grey_where_unseen, treat_unseen
from maquette.recon.mesh.writing import counts, write_both
from maquette.recon.mvs import surface_material
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.surface_material import SurfaceMaterial
from maquette.recon.stages.dense import STAGES
from maquette.recon.views.images import mask_reader
from maquette.scene import facts, outputs, stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["surface"]

_NAME, _POISSON = STAGE.name, "poisson"
_POINTS = 8 << 20  # of the grid, near depth maps, in a shard
_USUAL_PX = (0.3, 20.0)  # pixels along a cell with which a surface can be found
_TOLERANCE_CELLS = 2.0  # by which a surface may hide itself: its own noise
_MASK_LONG_SIDE = 1024  # pixels


def split(scene: Scene, options: DeclaredOptions) -> list[dict[str, Any]]:
    """The blocks of each shard: the first, and the one after the last.

    Raises:
        BadInput: too few points lie in the region.
    """
    given = SurfaceMaterial.of(scene, options.group)
    plan = _plan(given, options)
    shares = [(0, 1, 1)]
    if _mesher(options) != _POISSON:
        grid = Grid.over(given.region.unit_box(), plan.resolution)
        shares = bricks.shares(plan.bricks, grid, options.block_res, _POINTS)
    return [
        {"number": number, "blocks": [first, end], "points": points}
        for number, (first, end, points) in enumerate(shares)
    ]


def run(
    scene: Scene, options: DeclaredOptions, item: dict[str, Any], progress: Progress
) -> Sequence[Path]:
    """Lay the surface of some blocks, into a file of its own; with Poisson's method the whole."""
    given = SurfaceMaterial.of(scene, options.group)
    plan = _plan(given, options)
    if _mesher(options) == _POISSON:
        laid = _by_poisson(given, options, plan.resolution, progress)
        patches = [Patch(0, laid.vertices, laid.faces)]
    else:
        patches = _by_tsdf(given, options, plan, item["blocks"], progress)
    target = _file(scene, options, item["number"])
    write_patches(target, patches)
    return [target]


def inputs(
    scene: Scene, options: DeclaredOptions, items: Sequence[dict[str, Any]]
) -> list[list[Path]]:
    """All maps and points: any of them may lie in a shard's blocks."""
    given = surface_material.inputs(scene, options.group)
    return [[*given, _file(scene, options, "plan")]] * len(items)


def merge(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Join the parts, take off what was not seen, colour the rest and write it.

    Raises:
        JobFailed: there is no surface in the region.
    """
    given = SurfaceMaterial.of(scene, options.group)
    work = _Merging(given, options, progress, _plan(given, options), given.cloud())
    laid = work.laid()
    if not len(laid.faces):
        raise work.no_surface()
    treated = work.treat_unseen(replace(laid, normals=vertex_normals(laid)))
    colored = colored_by_points(treated.mesh, work.cloud)
    mesh = to_world(grey_where_unseen(colored), given.region)
    paths = write_both(scene.results / "mesh", mesh)
    numbers = {"mesher": _mesher(options), "resolution": work.plan.resolution, **counts(mesh)}
    remarks = [*work.remarks, *filter(None, [treated.remark])]
    kinds = dict.fromkeys(paths, outputs.MESH)
    return Report(paths, numbers=numbers | treated.numbers, remarks=remarks, kinds=kinds)


def _mesher(options: DeclaredOptions) -> str:
    if options.mesher == "auto":
        return _POISSON if options.unseen == "fill" else "tsdf"
    return str(options.mesher)


def _plan(given: SurfaceMaterial, options: DeclaredOptions) -> SurfacePlan:
    """What was found once of what there is now."""
    file = _file(given.scene, options, "plan")
    found = SurfacePlan.read(file)
    if found is not None:
        return found
    given.require_points()
    resolution, remark = options.resolution, ""
    if not resolution:
        resolution, remark = resolution_for(given.maps.footprint(given.region))
    check_limits(resolution, options.block_res)
    near = np.zeros(0, np.int64)
    if _mesher(options) != _POISSON:
        near = near_bricks(given.maps, Grid.over(given.region.unit_box(), resolution))
    found = SurfacePlan(resolution, remark, near)
    found.write(file)
    return found


def _file(scene: Scene, options: DeclaredOptions, part: int | str) -> Path:
    """Where a part is kept, beside the shards' records; another one for all that it is made of."""
    fuse = stage_records.read(scene, "fuse")
    made_of = [facts.digest(scene, name) for name in ("cameras", "region")]
    made_of += [f"{fuse.key}+{fuse.lineage}"] if fuse else []
    settings = [getattr(options, name) for name in STAGE.parameters]
    of = digest([STAGE.version, *settings, *made_of])[:12]
    return scene.records(scene.pipeline) / _NAME / f"{of}-{part}.npz"


def _by_tsdf(
    given: SurfaceMaterial, options: DeclaredOptions, plan: SurfacePlan, share: list[int],
    progress: Progress,
) -> list[Patch]:  # fmt: skip
    """The surface on which depth maps agree, in some blocks; open where no photo looked."""
    grid = Grid.over(given.region.unit_box(), plan.resolution)
    chosen = TsdfOptions(plan.resolution, options.block_res)
    tsdf, patches = Tsdf(given.maps, grid, chosen, plan.bricks), []
    first, end = share
    blocks = list(divide(grid, options.block_res))
    for number in range(first, end):
        found = tsdf.surface_in(blocks[number])
        if found is not None and len(found[0]):
            patches.append(Patch(number, *found))
        progress.step("blocks", number + 1, len(blocks))
    return patches


def _by_poisson(
    given: SurfaceMaterial, options: DeclaredOptions, resolution: int, progress: Progress
) -> TriangleMesh:
    """A closed surface through the points; nothing is cut off it where it is to stay closed."""
    cloud, told = given.cloud(), partial(progress.step, "seconds of poisson")
    depth = depth_for(2.0 / resolution, _extent(cloud))
    reach = 0.0 if options.unseen == "fill" else PoissonOptions.reach
    laid = reconstruct(cloud, PoissonOptions(depth, reach=reach), given.scene.root, told)
    mesh = clip_to_box(clip_to_ball(laid), given.region.unit_box())
    return drop_degenerate(mesh)


@dataclass(frozen=True)
class _Merging:
    """What makes one mesh of the parts; the cloud's points and all meshes are in unit space.

    Attributes:
        remarks: What a person should know of the resolution.
    """

    given: SurfaceMaterial
    options: DeclaredOptions
    progress: Progress
    plan: SurfacePlan
    cloud: PointCloud
    remarks: list[str] = field(default_factory=list)

    def tell(self, remark: str) -> None:
        """Say a remark, and keep it for the report; "" is none."""
        if remark:
            self.progress.say(remark)
            self.remarks.append(remark)

    def laid(self) -> TriangleMesh:
        """The surface of all parts."""
        self.tell(self.plan.remark)
        scene, region, res = self.given.scene, self.given.region, self.options.block_res
        grid = Grid.over(region.unit_box(), self.plan.resolution)
        if _mesher(self.options) == _POISSON:
            self.tell(octree_remark(self.plan.resolution, _extent(self.cloud)))
            (whole,) = read_patches(_file(scene, self.options, 0))
            return TriangleMesh(whole.vertices, whole.faces)
        count = len(bricks.shares(self.plan.bricks, grid, res, _POINTS))
        files = [_file(scene, self.options, number) for number in range(count)]
        return drop_degenerate(clip_to_ball(joined(files, grid, res)))

    def no_surface(self) -> JobFailed:
        """What is said where a mesher finds nothing, which the size of its cells may explain."""
        resolution, scene = self.plan.resolution, self.given.scene
        told = f"{len(self.cloud.points):,} points there, MESHER={_mesher(self.options)}"
        hint = "look at the points with `make view`, and at the region with `make adjust`"
        width = self.given.maps.footprint(self.given.region)
        cells_px = 2.0 / resolution / width if width else 1.0
        if not _USUAL_PX[0] <= cells_px <= _USUAL_PX[1]:
            told += f", RESOLUTION={resolution}: a cell is {cells_px:.3g} pixels wide"
            fitting = round(2.0 / (CELL_PX * width))
            hint = f"try RESOLUTION={fitting}"
            if not RESOLUTION_LIMITS[0] <= fitting <= RESOLUTION_LIMITS[1]:
                hint = f"make the region smaller: `make adjust MODEL={scene.name}`"
        return JobFailed(f"no surface of `{scene.name}` lies in the region", detail=told, hint=hint)

    def treat_unseen(self, mesh: TriangleMesh) -> Treated:
        """What UNSEEN asks for."""
        frames = self.given.frames
        mask = mask_reader(self.given.scene, frames, _MASK_LONG_SIDE)
        tolerance = _TOLERANCE_CELLS * 2.0 / self.plan.resolution
        told = partial(self.progress.step, "unseen")
        treated = treat_unseen(mesh, self.options.unseen, frames, mask, tolerance, told)
        if treated.is_blind:
            self.progress.warn(treated.remark)
        return treated


def _extent(cloud: PointCloud) -> float:
    return float(np.ptp(cloud.points, axis=0).max())
