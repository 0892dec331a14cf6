"""What a surface is laid of: the filtered depth maps and the fused points of a scene's region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maquette.errors import BadInput
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.depth_maps import DepthMaps
from maquette.recon.mvs import shards
from maquette.recon.mvs.colmap_files import filtered_file, map_files, read_filtered, read_fused
from maquette.recon.mvs.plan import read_plan
from maquette.recon.mvs.shards import Material
from maquette.scene import facts, stage_records, transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_LEAST_POINTS = 1000
_MARGIN = 1.05  # of the ball in which points are taken, so that a closed surface reaches its rim


@dataclass(frozen=True)
class SurfaceMaterial:
    """Depth maps in unit space, and the points beside them.

    Attributes:
        folder: The dense workspace.
    """

    scene: Scene
    folder: Path
    region: Region
    maps: DepthMaps

    @classmethod
    def of(cls, scene: Scene, group: str) -> SurfaceMaterial:
        """Open what `process` made; maps and points are read when they are needed.

        Raises:
            BadInput: something is missing or damaged, or of other photos or cameras.
        """
        material = Material.of(scene, group, ())
        _check_cameras(scene)
        region = transforms.read(scene.transforms).region
        plan, stereo = material.plan, material.stereo
        names = [plan.names[view] for view in plan.views]

        def read(number: int) -> tuple[np.ndarray, np.ndarray]:
            found = read_filtered(stereo, names[number])
            return found.depth, found.normals

        maps = DepthMaps.of([material.frames[v] for v in plan.views], read, region)
        return cls(scene, material.folder, region, maps)

    @property
    def frames(self) -> Sequence[Frame]:
        """Cameras of the maps' sizes, in unit space."""
        return self.maps.frames

    def cloud(self) -> PointCloud:
        """The fused points near the region, in unit space.

        Raises:
            BadInput: the file is missing or damaged.
        """
        cloud = self._fused()
        unit = self.region.unit_from_world(cloud.points)
        return replace(cloud, points=unit).chosen((unit**2).sum(axis=1) <= _MARGIN**2)

    def require_points(self) -> None:
        """Refuse a region with too few fused points for a surface.

        Raises:
            BadInput: it is one, or the file is missing or damaged.
        """
        points = self._fused().points
        inside = int(self.region.contains(points).sum())
        if inside < _LEAST_POINTS:
            name = self.scene.name
            raise BadInput(
                f"only {inside:,} of {len(points):,} fused points lie in the region of "
                f"`{name}`, at least {_LEAST_POINTS:,} are needed for a surface",
                hint=f"look at both with `make adjust MODEL={name}`, then `make process` again",
            )

    def _fused(self) -> PointCloud:
        return read_fused(self.folder / "fused.ply")


def inputs(scene: Scene, group: str) -> list[Path]:
    """The files that `SurfaceMaterial` reads, maps and points included."""
    folder = scene.dense(group)
    plan, stereo = read_plan(folder), folder / "stereo"
    names = [plan.names[view] for view in plan.views]
    maps = [
        path for name in names for path in (filtered_file(stereo, name), map_files(stereo, name)[1])
    ]
    (shared,) = shards.inputs(scene, group, [()])
    record = stage_records.path(scene, scene.pipeline, "fuse")
    return [*shared, *maps, folder / "fused.ply", record]


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
