"""Bricks of a grid's points: the small cubes near a surface, in which alone anything is computed.

A brick has a number: its place along x, y and z in row-major order. All bricks of one x lie
together, so that a block of the grid finds its own quickly.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.blocks import Block, Grid, IndexArray

CELL = 4  # grid cells along a brick


def bricks_of(points: Iterable[NDArray[np.float64]], grid: Grid) -> IndexArray:
    """The bricks that hold points, ascending.

    Args:
        points: Chunks [N, 3] in the grid's frame; those outside the grid do not count.
    """
    counts = _counts(grid)
    found = [np.zeros(0, np.int64)]
    for chunk in points:
        place = np.floor((chunk - grid.low) / (grid.spacing * CELL)).astype(np.int64)
        inside = ((place >= 0) & (place < counts)).all(axis=1)
        found.append(np.unique(np.ravel_multi_index(tuple(place[inside].T), counts)))
    return np.unique(np.concatenate(found))


def with_neighbours(bricks: IndexArray, grid: Grid) -> IndexArray:
    """The bricks and all that touch one, ascending."""
    counts = _counts(grid)
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


def points_in(block: Block, grid: Grid, bricks: IndexArray) -> NDArray[np.int32]:
    """The grid points [N, 3] of a block that lie in some bricks, which ascend."""
    counts = _counts(grid)
    low = np.asarray(block.start)
    high = low + np.asarray(block.cells)  # included
    first, last = low // CELL, high // CELL
    # All bricks of one x lie together, so that a block looks at its own slabs alone.
    ends = np.searchsorted(bricks, [first[0] * counts[1] * counts[2],
                                    (last[0] + 1) * counts[1] * counts[2]])  # fmt: skip
    place = np.stack(np.unravel_index(bricks[ends[0] : ends[1]], counts), axis=1)
    place = place[((place >= first) & (place <= last)).all(axis=1)]
    place = (place * CELL).astype(np.int32)
    steps = np.arange(CELL, dtype=np.int32)
    corner = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    points = (place[:, None] + corner).reshape(-1, 3)
    line = place[:, None] + steps[:, None]  # [bricks, along, axis]
    x, y, z = np.moveaxis((line >= low) & (line <= high), -1, 0)
    inside = x[:, :, None, None] & y[:, None, :, None] & z[:, None, None]
    return points[inside.reshape(-1)]


def shares(bricks: IndexArray, grid: Grid, block_res: int, size: int) -> list[tuple[int, int, int]]:
    """Cut the blocks of a grid, in order, into shares of about so much work.

    Args:
        block_res: Cells along a block, see `blocks.divide`.
        size: Grid points in bricks that a share has, but for those of its last block.

    Returns:
        Of each share its first block, the one after its last, and its points: about, as a brick
        counts for the block in which it begins. One share at least, and all blocks are in one.
    """
    along = -(-np.asarray(grid.cells) // block_res)
    place = np.stack(np.unravel_index(bricks, _counts(grid)), axis=1) * CELL // block_res
    block = np.ravel_multi_index(tuple(np.minimum(place, along - 1).T), tuple(along))
    points = np.bincount(block, minlength=int(np.prod(along))) * CELL**3
    before = np.cumsum(points) - points
    first = np.flatnonzero(np.diff(before // size, prepend=-1))
    ends = [*first[1:], len(points)]
    sums = np.add.reduceat(points, first)
    return [(int(a), int(b), int(n)) for a, b, n in zip(first, ends, sums, strict=True)]


def _counts(grid: Grid) -> tuple[int, int, int]:
    """Bricks along each axis; the last one may hold the last layer of points alone."""
    x, y, z = (cells // CELL + 1 for cells in grid.cells)
    return x, y, z
