"""A surface from depth maps: a truncated signed distance in blocks, of bounded memory.

Frame: unit space, in which the region's sphere is the unit ball. Only voxels near the depth maps'
points are computed, a block of the grid at a time; a block reads the maps of the views that see
it, through a cache of bounded size. So memory follows the size of a block and the resulting mesh,
not the number of photos.

Source: Curless and Levoy, see `integration.py`; voxels near points alone as in M. Niessner et al.,
"Real-time 3D reconstruction at scale using voxel hashing", 2013, section 4.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.recon.mesh.blocks import Block, Grid, check_limits, divide, touches_ball
from maquette.recon.mesh.bricks import bricks_of, points_in, with_neighbours
from maquette.recon.mesh.depth_maps import DepthMaps, views_of
from maquette.recon.mesh.integration import Floats, Truncation, Volume, integrate
from maquette.recon.mesh.marching import Pieces, march
from maquette.recon.mesh.triangles import FaceArray, TriangleMesh

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class TsdfOptions:
    """How a TSDF is built.

    Attributes:
        resolution: Cells along the diameter of the region's sphere.
        block_res: Cells along a block.
        front_cells, behind_cells: How far a depth map speaks, before and behind its surface.
        free: Weight of what lies farther in front, as a share.
        least_support: Voxels of less are unknown; 1 is one view head-on.
    """

    resolution: int
    block_res: int = 128
    front_cells: float = 3.0
    behind_cells: float = 2.0
    free: float = 0.2
    least_support: float = 0.5


def extract_from_maps(
    maps: DepthMaps,
    box: ArrayLike,
    options: TsdfOptions,
    told: Told = lambda done, total: None,
    fast: bool = True,
) -> TriangleMesh:
    """Find the surface on which depth maps agree, inside a box and the unit ball.

    Args:
        box: [3, 2] limits (min, max) in unit space.
        told: Called with (views and blocks done, views and blocks in all).
        fast: False: with the kernel's plain twin.

    Returns:
        Mesh in unit space; it may reach a little out of the ball, and may be empty. It is open
        where no depth map speaks.

    Raises:
        ConfigError: the resolution or the block's size is outside its limits.
    """
    check_limits(options.resolution, options.block_res)
    grid = Grid.over(box, options.resolution)
    views = len(maps.frames)
    total = views + math.prod(math.ceil(n / options.block_res) for n in grid.cells)
    tsdf = Tsdf(maps, grid, options, near_bricks(maps, grid, lambda done, _: told(done, total)))
    pieces = Pieces(grid, options.block_res)
    for done, block in enumerate(divide(grid, options.block_res)):
        found = tsdf.surface_in(block, fast)
        if found is not None:
            pieces.add(block, *found)
        told(views + done + 1, total)
    return pieces.welded()


def near_bricks(
    maps: DepthMaps, grid: Grid, told: Told = lambda done, total: None
) -> NDArray[np.int64]:
    """The bricks of a grid that hold points of depth maps, and all that touch one; ascending.

    Args:
        told: Called with (views done, views in all).
    """
    bricks = np.zeros(0, np.int64)
    for number in range(len(maps.frames)):
        bricks = np.union1d(bricks, bricks_of(maps.points(number), grid))
        told(number + 1, len(maps.frames))
    return with_neighbours(bricks, grid)


@dataclass(frozen=True)
class Tsdf:
    """A truncated signed distance of which each block is computed for itself.

    Attributes:
        bricks: Where it is computed, see `near_bricks`.
    """

    maps: DepthMaps
    grid: Grid
    options: TsdfOptions
    bricks: NDArray[np.int64]

    def surface_in(self, block: Block, fast: bool = True) -> tuple[Floats, FaceArray] | None:
        """Vertices [V, 3] in a block's grid coordinates and faces [F, 3]; None: nothing is near.

        Args:
            fast: False: with the kernel's plain twin.
        """
        if not touches_ball(block, self.grid):
            return None
        places = points_in(block, self.grid, self.bricks)
        if not len(places):
            return None
        volume = self._integrated(block, places, fast)
        known = volume.support >= self.options.least_support
        inside = tuple((places[known] - np.asarray(block.start)).T)
        values = np.full(block.points, np.inf, np.float32)
        step = np.float32(self.grid.step)
        values[inside] = volume.sums[known] / volume.weights[known] / step
        vertices, faces = march(values)
        return vertices, _between_known(vertices, faces, values)

    def _integrated(self, block: Block, places: NDArray[np.int32], fast: bool) -> Volume:
        """What all maps say of a block's grid points [N, 3]."""
        grid, chosen = self.grid, self.options
        volume = Volume(
            grid.low.astype(np.float32), grid.spacing.astype(np.float32), places,
            *np.zeros((3, len(places)), np.float32),
        )  # fmt: skip
        reach = chosen.front_cells * grid.step, chosen.behind_cells * grid.step
        truncation = Truncation(*reach, chosen.free)
        for number in views_of(block, grid, self.maps.frames):
            integrate(volume, self.maps.view(number), truncation, fast)
        return volume


def _between_known(vertices: Floats, faces: FaceArray, values: Floats) -> FaceArray:
    """The faces in cells all of whose corners are finite; others lie where knowledge ends."""
    middle = vertices[faces].mean(axis=1)
    place = np.clip(np.floor(middle).astype(np.intp), 0, np.subtract(values.shape, 2))
    kept = np.ones(len(faces), bool)
    for corner in itertools.product((0, 1), repeat=3):
        kept &= np.isfinite(values[tuple((place + corner).T)])
    return faces[kept]
