"""A closed surface through oriented points, by screened Poisson reconstruction.

It closes what was not seen with a smooth guess. So it is cut back to where points are, and what
becomes of the rest is a matter of `unseen.py`.

Source: M. Kazhdan and H. Hoppe, "Screened Poisson surface reconstruction", 2013, as COLMAP has it.
COLMAP's call can not be interrupted: it runs in a process of its own, which is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from maquette.errors import JobFailed
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh, keep_faces
from maquette.recon.processes import spread
from maquette.scene.atomic import temporary_folder

_MARGIN = 1.1  # of the points' bounding cube, in which COLMAP has its octree
_DEPTHS = (6, 11)
_POINTS_A_THREAD = (
    1_000_000  # COLMAP's threads wait for one another busily: few where work is little
)
_SPACED = 20_000  # points that tell the spacing
# Processor seconds of one thread, fitted to 2.2 million points at depths 7 and 9 (2.2 and 13 s).
_S_A_POINT, _S_A_CELL = 6.7e-7, 4.4e-5
_PLY = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("color", "u1", 3)])


@dataclass(frozen=True)
class PoissonOptions:
    """How a surface is laid through points.

    Attributes:
        depth: Of the octree: 2^depth cells along the bounding cube.
        point_weight: How much passing through the points counts, beside their normals.
        reach: The surface goes where the nearest point is farther than so many cells; 0: it stays.
    """

    depth: int
    point_weight: float = 1.0
    reach: float = 4.0


def depth_for(cell: float, extent: float) -> int:
    """The octree's depth whose cells are no smaller than `cell`, for points of an extent."""
    return int(np.clip(np.floor(np.log2(_MARGIN * extent / cell)), *_DEPTHS))


def finest_cell(extent: float) -> float:
    """The smallest cell that the deepest octree has, for points of an extent."""
    return float(_MARGIN * extent / 2 ** _DEPTHS[1])


def octree_remark(resolution: int, extent: float) -> str:
    """What to say where COLMAP's octree is coarser than RESOLUTION asks; `extent` of the points."""
    finest = int(2.0 / finest_cell(extent))
    if resolution <= finest:
        return ""
    return (
        f"MESHER=poisson goes up to {finest:,} cells along the region here, not "
        f"RESOLUTION={resolution}: MESHER=tsdf has no such limit"
    )


def reconstruct(
    cloud: PointCloud, options: PoissonOptions, place: Path,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> TriangleMesh:  # fmt: skip
    """Lay a surface through points with normals.

    Args:
        place: A folder for what COLMAP reads and writes, e.g. the scene's: what a kill leaves there
            the scene's next step removes.
        told: Is told of the seconds that have passed, of those that it is expected to take.

    Returns:
        Mesh in the points' frame, without colours.

    Raises:
        JobFailed: COLMAP finds no surface, or its process was killed.
    """
    with temporary_folder(place) as folder:
        source, target = folder / "points.ply", folder / "mesh.ply"
        _write(source, cloud)
        threads = int(np.clip(len(cloud.points) // _POINTS_A_THREAD, 1, os.cpu_count() or 1))
        task = (source, target, options.depth, options.point_weight, threads)
        clock = _Clock(expected_s(len(cloud.points), options.depth), told)
        with closing(spread(_run, [task], 1, clock.tell)) as results:
            list(results)
        if not target.is_file():
            raise JobFailed(
                f"COLMAP laid no surface through {len(cloud.points):,} points",
                hint="try MESHER=tsdf",
            )
        found = read_mesh(target)
    mesh = TriangleMesh(np.array(found.vertices), found.faces)
    if not options.reach:
        return mesh
    cell = _MARGIN * float(np.ptp(cloud.points, axis=0).max()) / 2**options.depth
    return near_points(mesh, cloud, options.reach * max(cell, spacing(cloud)))


def expected_s(points: int, depth: int) -> int:
    """About how many seconds COLMAP takes: for reading points, and for the cells of a surface."""
    return max(1, round(_S_A_POINT * points + _S_A_CELL * 4**depth))


class _Clock:
    """Tells how much of an expected time has passed; the call itself tells nothing."""

    def __init__(self, expected: int, told: Callable[[int, int], None]) -> None:
        self._start, self._expected, self._told = time.monotonic(), expected, told
        told(0, expected)

    def tell(self) -> None:
        passed = int(time.monotonic() - self._start)
        self._told(min(passed, self._expected - 1), self._expected)


def near_points(mesh: TriangleMesh, cloud: PointCloud, reach: float) -> TriangleMesh:
    """Keep the faces all of whose corners have a point within `reach`."""
    away, _ = cKDTree(cloud.points).query(mesh.vertices, distance_upper_bound=reach, workers=-1)
    return keep_faces(mesh, np.isfinite(away)[mesh.faces].all(axis=1))


def spacing(cloud: PointCloud) -> float:
    """The median distance from a point to its sixth neighbour."""
    if len(cloud.points) < 7:
        return 0.0
    some = cloud.points[:: max(1, len(cloud.points) // _SPACED)]
    away, _ = cKDTree(cloud.points).query(some, k=[7], workers=-1)
    return float(np.median(away))


def _run(task: tuple[Path, Path, int, float, int]) -> None:
    """Call COLMAP, in a process of its own."""
    import pycolmap

    source, target, depth, point_weight, threads = task
    options = pycolmap.PoissonMeshingOptions()
    options.depth, options.point_weight = depth, point_weight
    options.trim, options.color, options.num_threads = 0.0, False, threads
    pycolmap.poisson_meshing(source, target, options)


def _write(path: Path, cloud: PointCloud) -> None:
    assert cloud.normals is not None
    rows = np.zeros(len(cloud.points), _PLY)
    rows["place"], rows["normal"] = cloud.points, cloud.normals
    names = ["float x", "float y", "float z", "float nx", "float ny", "float nz"]
    names += ["uchar red", "uchar green", "uchar blue"]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    lines += [f"property {name}" for name in names]
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode() + rows.tobytes())
