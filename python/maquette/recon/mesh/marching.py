"""Marching cubes, block by block, into one welded mesh.

Peak memory follows the block's size, not the grid's, but for planes across the grid: they part
it along x into slabs one block thick, of which each can be done apart (`surface_in_slab`). In a
slab blocks share one layer of grid points whose values are handed from block to block (`Seams`).
A vertex lies on exactly one grid edge, so vertices on a seam are recognised by the edge's number
and never by distance.

Source: Lorensen and Cline, "Marching Cubes", 1987, in the topologically correct form of
Lewiner et al., 2003, as in scikit-image; differs: blocks, welding, skipped regions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skimage.measure import marching_cubes

from maquette.recon.mesh.blocks import Block, Grid, check_limits, divide, touches_ball
from maquette.recon.mesh.sampling import Distance, Layers, sample_block, sample_plane
from maquette.recon.mesh.triangles import (
    FaceArray,
    FloatArray,
    IndexArray,
    TriangleMesh,
    renumbered,
)

Told = Callable[[int, int], None]
_FAR_CELLS = np.float32(1e3)
_NUDGE_CELLS = np.float32(1e-3)
_ROUNDING_CELLS = 5e-5
_POINTS_ON_GPU = 257**3  # of a block; larger ones would need many GB there


def extract_surface(
    distance: Distance,
    box: ArrayLike,
    resolution: int,
    block_res: int,
    told: Told = lambda done, total: None,
) -> TriangleMesh:
    """Find the zero level of a signed distance inside a box and the unit ball.

    Args:
        distance: Unit-space points [N, 3] to signed distances [N], negative inside.
        box: [3, 2] limits (min, max) in unit space; the grid ends exactly there.
        resolution: Cells along the ball's diameter.
        block_res: Cells along a block.
        told: Called with (blocks done, blocks in all).

    Returns:
        Mesh in unit space; it may reach a little out of the ball, and may be empty.

    Raises:
        ConfigError: resolution or block_res is outside its limits.
    """
    check_limits(resolution, block_res)
    grid = Grid.over(box, resolution)
    pieces, low = Pieces(grid, block_res), None
    for slab in range(slabs(grid, block_res)):
        high = plane_after(distance, grid, block_res, slab)
        laid = surface_in_slab(distance, grid, block_res, slab, (low, high), told)
        for _, block, vertices, faces in laid:
            pieces.add(block, vertices, faces)
        low = high
    return pieces.welded()


def slabs(grid: Grid, block_res: int) -> int:
    """How many slabs of blocks a grid has, one behind the other along x."""
    return math.ceil(grid.cells[0] / block_res)


def plane_after(
    distance: Distance, grid: Grid, block_res: int, slab: int
) -> NDArray[np.float32] | None:
    """The values [Y + 1, Z + 1] in the plane between a slab and the next; None after the last."""
    end = (slab + 1) * block_res
    return sample_plane(distance, grid, end) if end < grid.cells[0] else None


def surface_in_slab(
    distance: Distance,
    grid: Grid,
    block_res: int,
    slab: int,
    planes: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None],
    told: Told = lambda done, total: None,
) -> Iterator[tuple[int, Block, NDArray[np.float32], FaceArray]]:
    """The surface in the blocks of one slab, which needs no other slab.

    Args:
        planes: `plane_after` of the slab before and of this one.
        told: Called with (blocks done, blocks in all slabs).

    Yields:
        Of each block that may have a surface: its number in the order of `divide`, the block, and
        what `march` gives.
    """
    in_slab = math.prod(math.ceil(cells / block_res) for cells in grid.cells[1:])
    seams, total = Seams(), slabs(grid, block_res) * in_slab
    for number, block in enumerate(divide(grid, block_res, slab), slab * in_slab):
        known = seams.take(block)
        if touches_ball(block, grid):
            values = sample_block(distance, grid, block, known, _faces(block, planes))
            if values is not None:
                seams.keep(block, values)
                yield number, block, *march(values)
        told(number + 1, total)


def _faces(
    block: Block, planes: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]
) -> Layers:
    """The parts of the planes on either side of a slab that are layers of a block."""
    y, z = (slice(block.start[axis], block.start[axis] + block.points[axis]) for axis in (1, 2))
    return [(0, end, plane[y, z]) for end, plane in zip((0, -1), planes, strict=True)
            if plane is not None]  # fmt: skip


def march(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], FaceArray]:
    """Triangles of one block.

    Values nearer to zero than a thousandth of a cell are moved to that distance. So a vertex
    always lies strictly inside one grid edge, and no triangle is degenerate.

    Args:
        values: Distances at the block's points, in cells.

    Returns:
        Vertices [V, 3] in the block's grid coordinates; faces [F, 3], normals towards positive.
    """
    volume = np.clip(values, -_FAR_CELLS, _FAR_CELLS)
    close = np.abs(volume) < _NUDGE_CELLS
    volume[close] = np.where(volume[close] < 0, -_NUDGE_CELLS, _NUDGE_CELLS)
    if not volume.min() < 0 < volume.max():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if torch.cuda.is_available() and volume.size <= _POINTS_ON_GPU:
        return march_with_warp(volume, "cuda")
    vertices, faces, _, _ = marching_cubes(volume, 0.0, gradient_direction="descent")
    return vertices, faces


def march_with_warp(
    volume: NDArray[np.float32], device: str
) -> tuple[NDArray[np.float32], FaceArray]:
    """What `march` does with scikit-image, on a GPU, where it takes about 44 bytes a point.

    A cell whose corners leave two surfaces possible may get the other one; both are closed.
    """
    import warp as wp

    from maquette.recon.kernels import launching  # noqa: F401 - starts Warp: only when used

    field = wp.from_torch(torch.from_numpy(volume).to(device))
    found, corners = wp.MarchingCubes.extract_surface_marching_cubes(field, 0.0)
    vertices: NDArray[np.float32] = found.numpy()
    whole = np.rint(vertices)  # two of three coordinates, but for Warp's rounding
    np.copyto(vertices, whole, where=np.abs(vertices - whole) < _ROUNDING_CELLS)
    return vertices, corners.numpy().reshape(-1, 3)


class Seams:
    """The last layers of finished blocks, kept until the neighbour on that side takes them."""

    def __init__(self) -> None:
        self._layers: dict[tuple[int, tuple[int, ...]], NDArray[np.float32]] = {}

    def keep(self, block: Block, values: NDArray[np.float32]) -> None:
        """Keep the block's last layers across y and z."""
        for axis in (1, 2):
            place = list(block.place)
            place[axis] += 1
            self._layers[axis, tuple(place)] = np.take(values, -1, axis=axis)

    def take(self, block: Block) -> Layers:
        """Hand out, and forget, the layers that the block shares with finished neighbours."""
        layers = [(axis, self._layers.pop((axis, block.place), None)) for axis in (1, 2)]
        return [(axis, 0, layer) for axis, layer in layers if layer is not None]


class Pieces:
    """Meshes of blocks, joined at the end."""

    def __init__(self, grid: Grid, block_res: int) -> None:
        self._grid = grid
        self._block_res = block_res
        self._vertices: list[NDArray[np.float32]] = [np.zeros((0, 3), np.float32)]  # unit space
        self._faces: list[FaceArray] = [np.zeros((0, 3), np.int32)]
        self._seams: list[IndexArray] = [np.zeros(0, np.int64)]  # vertices that two blocks share
        self._edges: list[IndexArray] = [np.zeros(0, np.int64)]  # and the grid edge of each
        self._count = 0

    def add(self, block: Block, vertices: NDArray[np.float32], faces: FaceArray) -> None:
        """Add a block's triangles, in the block's grid coordinates."""
        placed = vertices.astype(np.float64) + np.asarray(block.start)
        seam = np.flatnonzero(_on_seam(placed, self._block_res))
        self._seams.append(seam + self._count)
        self._edges.append(_edge_numbers(placed[seam], self._grid))
        self._vertices.append(self._grid.position(placed).astype(np.float32))
        self._faces.append(faces + np.int32(self._count))
        self._count += len(vertices)

    def welded(self) -> TriangleMesh:
        """One mesh in unit space, in which every grid edge has at most one vertex.

        To be called once: the pieces are given up, as a fine mesh is not to be in memory twice.
        """
        seam, edges = np.concatenate(self._seams), np.concatenate(self._edges)
        _, first, which = np.unique(edges, return_index=True, return_inverse=True)
        target = np.arange(self._count, dtype=np.int32)
        target[seam] = seam[first][which]
        for faces in self._faces:
            faces[:] = target[faces]
        faces = np.concatenate(self._faces)
        self._faces.clear()
        kept, joined = renumbered(faces, self._count)
        vertices = np.concatenate(self._vertices)
        self._vertices.clear()
        return TriangleMesh(vertices[kept], joined)


def _on_seam(vertices: FloatArray, block_res: int) -> NDArray[np.bool_]:
    """Which vertices [V, 3], grid coordinates, lie on a layer that two blocks share."""
    on_layer: NDArray[np.bool_] = (np.mod(vertices, block_res) == 0).any(axis=1)
    return on_layer


def _edge_numbers(vertices: FloatArray, grid: Grid) -> IndexArray:
    """Number of the grid edge on which each vertex [V, 3], grid coordinates, lies."""
    base = np.floor(vertices).astype(np.int64)
    axis = np.argmax(vertices - base, axis=1)
    point = np.ravel_multi_index(tuple(base.T), [count + 1 for count in grid.cells])
    return np.asarray(point * 3 + axis, dtype=np.int64)
