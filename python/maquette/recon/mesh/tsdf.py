"""A surface from depth maps: a truncated signed distance in blocks, of bounded memory.

Frame: unit space, in which the region's sphere is the unit ball. Only voxels near the depth maps'
points are computed, a block of the grid at a time; a block reads the maps of the views that see
it, through a cache of bounded size. So memory follows the size of a block and the resulting mesh,
not the number of photos.

Source: Curless and Levoy, see `integration.py`; voxels near points alone as in M. Niessner et al.,
"Real-time 3D reconstruction at scale using voxel hashing", 2013, section 4.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.recon.mesh.blocks import Block, Grid, check_limits, divide, touches_ball
from maquette.recon.mesh.integration import DepthView, Floats, Truncation, Volume, integrate
from maquette.recon.mesh.marching import Pieces, march
from maquette.recon.mesh.triangles import FaceArray, TriangleMesh
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Told = Callable[[int, int], None]
ReadMaps = Callable[[int], tuple[Floats, Floats]]
BoolArray = NDArray[np.bool_]
_CELL = 4  # grid cells along a brick of voxels that are computed together
_CACHE_BYTES = 256 << 20
_ROWS_AT_ONCE = 1 << 19
_ASKED, _EVERY = 24, 50  # views, and pixels of them, that tell how large a pixel is


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


@dataclass
class DepthMaps:
    """Depth maps in unit space, read when they are needed.

    Attributes:
        frames: Cameras of the maps' sizes, in unit space.
        read: Depth [H, W] in world units and normals [H, W, 3] in the camera's frame, by view.
        scale: World units to unit space.
    """

    frames: Sequence[Frame]
    read: ReadMaps
    scale: float
    cache_bytes: int = _CACHE_BYTES
    _held: OrderedDict[int, DepthView] = field(default_factory=OrderedDict)

    @classmethod
    def of(
        cls, frames: Sequence[Frame], read: ReadMaps, region: Region,
        cache_bytes: int = _CACHE_BYTES,
    ) -> DepthMaps:  # fmt: skip
        """Maps of a scene; see `read`.

        Args:
            frames: In the world.
        """
        inside = [_in_unit(frame, region) for frame in frames]
        return cls(inside, read, 1 / region.radius, cache_bytes)

    def view(self, number: int) -> DepthView:
        """One map; the last used ones are at hand."""
        found = self._held.pop(number, None)
        if found is None:
            depth, normals = self.read(number)
            found = DepthView.of(self.frames[number], depth * self.scale, normals)
        self._held[number] = found
        while len(self._held) > 1 and sum(map(_size, self._held.values())) > self.cache_bytes:
            self._held.popitem(last=False)
        return found

    def points(self, number: int) -> Iterator[NDArray[np.float64]]:
        """The points [N, 3] of one map, in unit space, in chunks of bounded memory."""
        view, pose = self.view(number), self.frames[number].world_from_cam
        rows, columns = np.nonzero(view.depth > 0)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            row, column = rows[part], columns[part]
            fl_x, fl_y, cx, cy = view.lens
            local = [(column + 0.5 - cx) / fl_x, (row + 0.5 - cy) / fl_y, np.ones(len(row))]
            points = (view.depth[row, column] * np.stack(local)).T
            yield points @ pose[:3, :3].T + pose[:3, 3]

    def footprint(self, region: Region) -> float:
        """The median width of a pixel where it meets the region, unit space; 0: none does."""
        step = max(1, len(self.frames) // _ASKED)
        found = [np.zeros(0)]
        for number in range(0, len(self.frames), step):
            view, pose = self.view(number), self.frames[number].world_from_cam
            for points in self.points(number):
                points = points[::_EVERY]
                inside = points[region.contains(region.world_from_unit(points))]
                found.append((inside - pose[:3, 3]) @ pose[:3, 2] / view.lens[0])
        widths = np.concatenate(found)
        return float(np.median(widths)) if len(widths) else 0.0


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
    bricks = np.zeros(0, np.int64)
    for number in range(views):
        bricks = np.union1d(bricks, _bricks_of(maps, number, grid))
        told(number + 1, total)
    bricks = _with_neighbours(bricks, grid)
    pieces = Pieces(grid, options.block_res)
    for done, block in enumerate(divide(grid, options.block_res)):
        if touches_ball(block, grid):
            _add_block(pieces, block, grid, bricks, maps, options, fast)
        told(views + done + 1, total)
    return pieces.welded()


def _add_block(
    pieces: Pieces, block: Block, grid: Grid, bricks: NDArray[np.int64], maps: DepthMaps,
    options: TsdfOptions, fast: bool,
) -> None:  # fmt: skip
    places = _places(block, grid, bricks)
    if not len(places):
        return
    count = len(places)
    volume = Volume(
        grid.low.astype(np.float32), grid.spacing.astype(np.float32), places,
        *np.zeros((3, count), np.float32),
    )  # fmt: skip
    step = grid.step
    truncation = Truncation(options.front_cells * step, options.behind_cells * step, options.free)
    for number in _views_of(block, grid, maps.frames):
        integrate(volume, maps.view(number), truncation, fast)
    known = volume.support >= options.least_support
    inside = tuple((places[known] - np.asarray(block.start)).T)
    values = np.full(block.points, np.inf, np.float32)
    values[inside] = volume.sums[known] / volume.weights[known] / np.float32(step)
    vertices, faces = march(values)
    pieces.add(block, vertices, _between_known(vertices, faces, np.isfinite(values)))


def _between_known(vertices: NDArray[np.float32], faces: FaceArray, known: BoolArray) -> FaceArray:
    """The faces in cells all of whose corners are known; others lie where knowledge ends."""
    ends = (slice(None, -1), slice(1, None))
    cells = np.ones(np.subtract(known.shape, 1), bool)
    for x in ends:
        for y in ends:
            for z in ends:
                cells &= known[x, y, z]
    middle = vertices[faces].mean(axis=1)
    place = np.clip(np.floor(middle).astype(np.intp), 0, np.subtract(cells.shape, 1))
    return faces[cells[tuple(place.T)]]


def _bricks_of(maps: DepthMaps, number: int, grid: Grid) -> NDArray[np.int64]:
    """The bricks that hold points of a map, by number."""
    counts = _brick_counts(grid)
    found = [np.zeros(0, np.int64)]
    for points in maps.points(number):
        place = np.floor((points - grid.low) / (grid.spacing * _CELL)).astype(np.int64)
        inside = ((place >= 0) & (place < counts)).all(axis=1)
        found.append(np.unique(np.ravel_multi_index(tuple(place[inside].T), counts)))
    return np.unique(np.concatenate(found))


def _with_neighbours(bricks: NDArray[np.int64], grid: Grid) -> NDArray[np.int64]:
    """The bricks and all that touch one, ascending."""
    counts = _brick_counts(grid)
    for axis in range(3):
        place = np.stack(np.unravel_index(bricks, counts))
        sides = []
        for step in (-1, 0, 1):
            moved = place.copy()
            moved[axis] += step
            fits = (moved[axis] >= 0) & (moved[axis] < counts[axis])
            sides.append(np.ravel_multi_index(tuple(moved[:, fits]), counts))
        bricks = np.unique(np.concatenate(sides))
    return bricks


def _brick_counts(grid: Grid) -> tuple[int, int, int]:
    """Bricks along each axis; the last one may hold the last layer of points alone."""
    x, y, z = (cells // _CELL + 1 for cells in grid.cells)
    return x, y, z


def _places(block: Block, grid: Grid, bricks: NDArray[np.int64]) -> NDArray[np.int32]:
    """The grid points [N, 3] of a block that lie in some bricks."""
    counts = _brick_counts(grid)
    low = np.asarray(block.start)
    high = low + np.asarray(block.cells)  # included
    first, last = low // _CELL, high // _CELL
    # All bricks of one x lie together, so that a block looks at its own slabs alone.
    ends = np.searchsorted(bricks, [first[0] * counts[1] * counts[2],
                                    (last[0] + 1) * counts[1] * counts[2]])  # fmt: skip
    place = np.stack(np.unravel_index(bricks[ends[0] : ends[1]], counts), axis=1)
    place = place[((place >= first) & (place <= last)).all(axis=1)]
    corner = np.stack(np.meshgrid(*[np.arange(_CELL)] * 3, indexing="ij"), -1).reshape(1, -1, 3)
    points = (place[:, None] * _CELL + corner).reshape(-1, 3)
    return points[((points >= low) & (points <= high)).all(axis=1)].astype(np.int32)


def _views_of(block: Block, grid: Grid, frames: Sequence[Frame]) -> list[int]:
    """The cameras in whose picture some of a block may be: by the rectangle about its corners."""
    ends = np.stack([grid.position(block.start),
                     grid.position(np.add(block.start, block.cells))])  # fmt: skip
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), -1).reshape(-1, 3)
    found = []
    for number, frame in enumerate(frames):
        lens, pose = frame.intrinsics, frame.world_from_cam
        x, y, z = ((corners - pose[:3, 3]) @ pose[:3, :3]).T
        if (z <= 0).all():
            continue
        if (z > 0).all():
            u, v = lens.fl_x * x / z + lens.cx, lens.fl_y * y / z + lens.cy
            if u.max() < 0 or v.max() < 0 or u.min() > lens.width or v.min() > lens.height:
                continue
        found.append(number)
    return found


def _in_unit(frame: Frame, region: Region) -> Frame:
    pose = frame.world_from_cam.copy()
    pose[:3, 3] = region.unit_from_world(pose[:3, 3])
    return replace(frame, world_from_cam=pose)


def _size(view: DepthView) -> int:
    return view.depth.nbytes + view.normals.nbytes
