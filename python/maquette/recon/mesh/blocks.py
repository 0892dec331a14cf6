"""The sampling grid of a region and its division into blocks.

Notation: a grid has `cells` along each axis; grid point (i, j, k) lies at
`low + spacing * (i, j, k)` in unit space. Neighbouring blocks share one layer of points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.errors import ConfigError

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
RESOLUTION_LIMITS = (8, 8192)
BLOCK_LIMITS = (8, 1024)


@dataclass(frozen=True)
class Grid:
    """Sampling points over a box in unit space.

    Attributes:
        low: Corner of the box, [3], unit space.
        spacing: Cell size along each axis, [3]; the box is a whole number of cells.
        cells: Number of cells along each axis.
    """

    low: FloatArray
    spacing: FloatArray
    cells: tuple[int, int, int]

    @classmethod
    def over(cls, box: ArrayLike, resolution: int) -> Grid:
        """Cover `box` [3, 2] exactly with cells no larger than 2 / resolution."""
        limits = np.asarray(box, dtype=np.float64)
        size = limits[:, 1] - limits[:, 0]
        counts = [max(1, math.ceil(length * resolution / 2 - 1e-6)) for length in size]
        return cls(limits[:, 0], size / counts, (counts[0], counts[1], counts[2]))

    @property
    def step(self) -> float:
        """The longest edge of a cell, unit space."""
        return float(self.spacing.max())

    @property
    def cell_diagonal(self) -> float:
        """The length of a cell's diagonal, unit space."""
        return float(np.linalg.norm(self.spacing))

    def position(self, index: ArrayLike) -> FloatArray:
        """Unit-space position of grid coordinates [..., 3] (whole or between points)."""
        return self.low + self.spacing * np.asarray(index, dtype=np.float64)

    def coordinate(self, axis: int, index: NDArray[np.integer]) -> FloatArray:
        """Unit-space coordinate of points `index` along one axis."""
        line: FloatArray = self.low[axis] + self.spacing[axis] * index
        return line


@dataclass(frozen=True)
class Block:
    """A brick of cells; its points are `start .. start + cells`, both ends included.

    Attributes:
        place: Which block along each axis.
        start: First grid point along each axis.
        cells: Number of cells along each axis.
    """

    place: tuple[int, int, int]
    start: tuple[int, int, int]
    cells: tuple[int, int, int]

    @property
    def points(self) -> tuple[int, int, int]:
        """Number of grid points along each axis."""
        return (self.cells[0] + 1, self.cells[1] + 1, self.cells[2] + 1)

    def axes(self, grid: Grid) -> list[FloatArray]:
        """Unit-space coordinates of the block's points along each axis."""
        return [
            grid.coordinate(axis, self.start[axis] + np.arange(self.points[axis]))
            for axis in range(3)
        ]


def check_limits(resolution: int, block_res: int) -> None:
    """Refuse values that are surely a slip.

    Raises:
        ConfigError: RESOLUTION or BLOCK_RES is outside its limits; both are named.
    """
    problems = [
        f"{name} is {value}, limits are {low} .. {high}"
        for name, value, (low, high) in (
            ("RESOLUTION", resolution, RESOLUTION_LIMITS),
            ("BLOCK_RES", block_res, BLOCK_LIMITS),
        )
        if not low <= value <= high
    ]
    if problems:
        raise ConfigError(
            "the extraction grid is not usable",
            detail="\n".join(problems),
            hint="try RESOLUTION=256 BLOCK_RES=128",
        )


def divide(grid: Grid, block_res: int, slab: int | None = None) -> Iterator[Block]:
    """Divide the grid into blocks of at most `block_res` cells along each axis, in order.

    Every cell lies in exactly one block, and a block comes after its neighbours on the low
    side.

    Args:
        slab: Give only the blocks that are at this place along x; None: all.
    """
    x, y, z = (range(0, count, block_res) for count in grid.cells)
    if slab is not None:
        x = x[slab : slab + 1]
    for start in itertools.product(x, y, z):
        cells = [min(block_res, grid.cells[axis] - start[axis]) for axis in range(3)]
        place = [first // block_res for first in start]
        yield Block((place[0], place[1], place[2]), start, (cells[0], cells[1], cells[2]))


def touches_ball(block: Block, grid: Grid) -> bool:
    """Whether some point of the block's brick lies in the unit ball."""
    low, high = (grid.position(np.add(block.start, size)) for size in ((0, 0, 0), block.cells))
    nearest = np.clip(0.0, low, high)
    return bool(np.linalg.norm(nearest) <= 1.0)
