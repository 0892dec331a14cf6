"""Stage `surface`: depth maps or points become a mesh of the region, `mesh.ply` and `mesh.obj`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from maquette.errors import BadInput, JobFailed
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.attributes import to_world
from maquette.recon.mesh.blocks import RESOLUTION_LIMITS, check_limits
from maquette.recon.mesh.cleaning import drop_degenerate
from maquette.recon.mesh.clipping import clip_to_ball, clip_to_box
from maquette.recon.mesh.coloring import colored_by_points
from maquette.recon.mesh.poisson import PoissonOptions, depth_for, finest_cell, reconstruct
from maquette.recon.mesh.resolution import CELL_PX, resolution_for
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.mesh.tsdf import DepthMaps, TsdfOptions, extract_from_maps
from maquette.recon.mesh.unseen import Treated, grey_where_unseen, treat_unseen
from maquette.recon.mesh.writing import counts, write_both
from maquette.recon.mvs.colmap_files import read_filtered, read_fused
from maquette.recon.mvs.shards import Material
from maquette.recon.views.images import mask_reader
from maquette.scene import facts, outputs, stage_records, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.stage import DeclaredOptions, Report, Stage

_USUAL_PX = (0.3, 20.0)  # pixels along a cell with which a surface can be found
_LEAST_POINTS = 1000
_MARGIN = 1.05  # of the ball in which points are taken, so that a closed surface reaches its rim
_TOLERANCE_CELLS = 2.0  # by which a surface may hide itself: its own noise
_MASK_LONG_SIDE = 1024  # pixels


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Lay a surface and write it.

    Raises:
        BadInput: too few points lie in the region.
        JobFailed: there is no surface in it.
    """
    work = _Work.of(scene, options, progress)
    mesher = options.mesher
    if mesher == "auto":
        mesher = "poisson" if options.unseen == "fill" else "tsdf"
    laid = work.by_poisson() if mesher == "poisson" else work.by_tsdf()
    if not len(laid.faces):
        raise work.no_surface(mesher)
    treated = work.treat_unseen(replace(laid, normals=vertex_normals(laid)))
    colored = colored_by_points(treated.mesh, work.cloud)
    mesh = to_world(grey_where_unseen(colored), work.region)
    paths = write_both(scene.results / "mesh", mesh)
    numbers = {"mesher": mesher, "resolution": work.resolution, **counts(mesh)}
    remarks = [*work.remarks, *filter(None, [treated.remark])]
    kinds = dict.fromkeys(paths, outputs.MESH)
    return Report(paths, numbers=numbers | treated.numbers, remarks=remarks, kinds=kinds)


@dataclass(frozen=True)
class _Work:
    """What a mesher needs; the cloud's points and all meshes are in unit space.

    Attributes:
        remarks: What a person should know of the resolution.
    """

    scene: Scene
    options: DeclaredOptions
    progress: Progress
    material: Material
    region: Region
    cloud: PointCloud
    maps: DepthMaps
    resolution: int
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, scene: Scene, options: DeclaredOptions, progress: Progress) -> _Work:
        material = Material.of(scene, options.group)
        _check_cameras(scene)
        region = transforms.read(scene.transforms).region
        cloud = _cloud(scene, material.folder / "fused.ply", region)
        plan, stereo = material.plan, material.stereo
        names = [plan.names[view] for view in plan.views]

        def read(number: int) -> tuple[np.ndarray, np.ndarray]:
            found = read_filtered(stereo, names[number])
            return found.depth, found.normals

        maps = DepthMaps.of([material.frames[v] for v in plan.views], read, region)
        resolution, remark = options.resolution, ""
        if not resolution:
            resolution, remark = resolution_for(maps.footprint(region))
        check_limits(resolution, options.block_res)
        work = cls(scene, options, progress, material, region, cloud, maps, resolution)
        work.tell(remark)
        return work

    def tell(self, remark: str) -> None:
        """Say a remark, and keep it for the report; "" is none."""
        if remark:
            self.progress.say(remark)
            self.remarks.append(remark)

    def by_tsdf(self) -> TriangleMesh:
        """The surface on which depth maps agree; open where no photo looked."""
        chosen = TsdfOptions(self.resolution, self.options.block_res)
        mesh = extract_from_maps(
            self.maps, self.region.unit_box(), chosen,
            lambda done, total: self.progress.step("blocks", done, total),
        )  # fmt: skip
        return drop_degenerate(clip_to_ball(mesh))

    def by_poisson(self) -> TriangleMesh:
        """A closed surface through the points; nothing is cut off it where it is to stay closed."""
        told = partial(self.progress.step, "seconds of poisson")
        extent = float(np.ptp(self.cloud.points, axis=0).max())
        reach = 0.0 if self.options.unseen == "fill" else PoissonOptions.reach
        self.tell(octree_remark(self.resolution, extent))
        chosen = PoissonOptions(depth_for(2.0 / self.resolution, extent), reach=reach)
        laid = reconstruct(self.cloud, chosen, self.scene.root, told)
        mesh = clip_to_box(clip_to_ball(laid), self.region.unit_box())
        return drop_degenerate(mesh)

    def no_surface(self, mesher: str) -> JobFailed:
        """What is said where a mesher finds nothing, which the size of its cells may explain."""
        told = f"{len(self.cloud.points):,} points there, MESHER={mesher}"
        hint = "look at the points with `make view`, and at the region with `make adjust`"
        width = self.maps.footprint(self.region)
        cells_px = 2.0 / self.resolution / width if width else 1.0
        if not _USUAL_PX[0] <= cells_px <= _USUAL_PX[1]:
            told += f", RESOLUTION={self.resolution}: a cell is {cells_px:.3g} pixels wide"
            fitting = round(2.0 / (CELL_PX * width))
            hint = f"try RESOLUTION={fitting}"
            if not RESOLUTION_LIMITS[0] <= fitting <= RESOLUTION_LIMITS[1]:
                hint = f"make the region smaller: `make adjust MODEL={self.scene.name}`"
        what = f"no surface of `{self.scene.name}` lies in the region"
        return JobFailed(what, detail=told, hint=hint)

    def treat_unseen(self, mesh: TriangleMesh) -> Treated:
        """What UNSEEN asks for."""
        frames = self.maps.frames
        mask = mask_reader(self.scene, frames, _MASK_LONG_SIDE)
        tolerance = _TOLERANCE_CELLS * 2.0 / self.resolution
        told = partial(self.progress.step, "unseen")
        treated = treat_unseen(mesh, self.options.unseen, frames, mask, tolerance, told)
        if treated.is_blind:
            self.progress.warn(treated.remark)
        return treated


def octree_remark(resolution: int, extent: float) -> str:
    """What to say where COLMAP's octree is coarser than RESOLUTION asks; `extent` of the points."""
    finest = int(2.0 / finest_cell(extent))
    if resolution <= finest:
        return ""
    return (
        f"MESHER=poisson goes up to {finest:,} cells along the region here, not "
        f"RESOLUTION={resolution}: MESHER=tsdf has no such limit"
    )


def _check_cameras(scene: Scene) -> None:
    """Refuse maps that were made with other cameras than the scene has now.

    Raises:
        BadInput: they were.
    """
    fuse = stage_records.read(scene, "fuse")
    made_of = fuse.inputs.get("fact:cameras", "").partition("+")[0] if fuse else ""
    if made_of and made_of != facts.digest(scene, "cameras"):
        raise BadInput(
            f"the cameras of `{scene.name}` changed after its depth maps were made",
            hint=f"`make process PIPELINE={scene.pipeline} MODEL={scene.name}` renews the maps",
        )


def _cloud(scene: Scene, path: Path, region: Region) -> PointCloud:
    """The fused points near the region, in unit space.

    Raises:
        BadInput: too few of them lie in it, or the file is damaged.
    """
    cloud = read_fused(path)
    inside = int(region.contains(cloud.points).sum())
    if inside < _LEAST_POINTS:
        raise BadInput(
            f"only {inside:,} of {len(cloud.points):,} fused points lie in the region of "
            f"`{scene.name}`, at least {_LEAST_POINTS:,} are needed for a surface",
            hint=f"look at both with `make adjust MODEL={scene.name}`, then `make process` again",
        )
    unit = region.unit_from_world(cloud.points)
    near = cloud.chosen((unit**2).sum(axis=1) <= _MARGIN**2)
    return replace(near, points=region.unit_from_world(near.points))


STAGE = Stage(
    name="surface",
    version=1,
    run=run,
    parameters=("group", "mesher", "resolution", "block_res", "unseen"),
    after=("fuse",),
    uses=("consistency",),
    facts=("cameras", "region", "masks"),
    packages=("torch", "warp-lang", "scikit-image", "pycolmap", "scipy"),
)
