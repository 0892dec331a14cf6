"""Signed distances at the points of a block, computed only where the surface may be.

A coarse lattice of every 4th grid point is sampled first. Let d be half the diagonal of a
coarse cell: every point of the cell is within d of one of its corners, so a field whose
gradient is at most 1 has no zero in a cell whose corners all have |sdf| > d and one sign. A
learned field is only roughly a distance. So a cell is left out only if all its corners agree
in sign and have |sdf| > GRADIENT_ALLOWANCE * d, which is safe up to that gradient; and a cell
left out on whose border a computed point has the other sign is computed after all, until there
is none. What can be missed is a part smaller than four cells, alone in a cell
left out, in a field steeper than GRADIENT_ALLOWANCE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.blocks import Block, Grid, IndexArray

FloatArray = NDArray[np.float64]
Distance = Callable[[FloatArray], NDArray[np.floating]]
Layers = Sequence[tuple[int, int, NDArray[np.float32]]]  # (axis, 0 the first or -1 the last, it)
COARSE_CELLS = 4
PLANE_FAR = np.float32(4.0)  # cells: of a plane's points where the surface is not near
_PLANE_CELLS = 2  # how thick a plane is sampled
OUTLINE_CELLS = 16  # of a first look at a whole block, by the same rule
GRADIENT_ALLOWANCE = 2.0
_CHUNK_POINTS = 1 << 18


def sample_block(
    distance: Distance, grid: Grid, block: Block, known: Layers = (), planes: Layers = ()
) -> NDArray[np.float32] | None:
    """Compute the field near its zero, inside the ball.

    Args:
        distance: Unit-space points [N, 3] to signed distances [N].
        known: For some axes, what a neighbour computed for this block's first layer; taken
            over, so that shared points never differ, not even by rounding.
        planes: Of `sample_plane` the parts that are layers of this block; taken over whole.

    Returns:
        Block-shaped distances, in cells; ±inf where the surface can not be (the sign says
        which side) and beyond the ball. None when the surface can not be in the block.
    """
    seen = bool(known) or any((np.abs(layer) < PLANE_FAR).any() for _, _, layer in planes)
    if not seen and _is_empty(distance, grid, block):
        return None
    knots = [_knots(count, COARSE_CELLS) for count in block.cells]
    corner_values = _sample_corners(distance, grid, block, knots)
    active = _may_cross(corner_values, grid, knots)
    if not seen and not active.any():
        return None
    values = _fill(corner_values, knots)
    _take_over(values, [*known, *planes])
    active = _compute_near(distance, grid, block, values, active, knots)
    return values if active.any() else None


def sample_plane(distance: Distance, grid: Grid, x: int) -> NDArray[np.float32]:
    """Compute the field in the plane of grid points `x` along the first axis.

    What lies on both sides of it can then be sampled apart and still fits. A point is computed by
    the rule above in coarse cells that are two cells thick: so up to a gradient of
    GRADIENT_ALLOWANCE there is no surface between points left out and those next to the plane.

    Returns:
        [Y + 1, Z + 1] distances, in cells; ±PLANE_FAR where the surface is not near.
    """
    slab = Block((0, 0, 0), (x, 0, 0), (_PLANE_CELLS, grid.cells[1], grid.cells[2]))
    knots = [_knots(count, COARSE_CELLS) for count in slab.cells]
    corner_values = _sample_corners(distance, grid, slab, knots)
    values = _fill(corner_values, knots)
    _compute_near(distance, grid, slab, values, _may_cross(corner_values, grid, knots), knots)
    plane = values[0]
    return np.where(np.isinf(plane), np.copysign(PLANE_FAR, plane), plane).astype(np.float32)


def _compute_near(
    distance: Distance,
    grid: Grid,
    block: Block,
    values: NDArray[np.float32],
    active: NDArray[np.bool_],
    knots: list[IndexArray],
) -> NDArray[np.bool_]:
    """Compute values in coarse cells that may hold the surface, and where it goes on from them.

    Returns:
        Which coarse cells these were.
    """
    near_ball = _near_ball(grid, block)
    active = active | _mixed(values, knots)
    computed = np.zeros_like(active)
    while (active & ~computed).any():
        _compute(distance, grid, block, values, _points_of(active, knots) & near_ball)
        computed = active
        active = active | _mixed(values, knots)
    values[~near_ball] = np.inf
    return active


def evaluate(distance: Distance, points: FloatArray) -> FloatArray:
    """Evaluate a field at [N, 3] in chunks of bounded memory, [N]."""
    chunks = [
        np.asarray(distance(points[first : first + _CHUNK_POINTS]), dtype=np.float64)
        for first in range(0, len(points), _CHUNK_POINTS)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0)


def _is_empty(distance: Distance, grid: Grid, block: Block) -> bool:
    """Whether a lattice of few points already shows that no surface is in the block."""
    knots = [_knots(count, OUTLINE_CELLS) for count in block.cells]
    return not _may_cross(_sample_corners(distance, grid, block, knots), grid, knots).any()


def _knots(cells: int, step: int) -> IndexArray:
    """Coarse lattice along an axis: every `step`-th point and the last one."""
    return np.unique(np.append(np.arange(0, cells, step), cells))


def _sample_corners(
    distance: Distance, grid: Grid, block: Block, knots: list[IndexArray]
) -> FloatArray:
    """Distances at coarse corners.

    A corner outside the ball is moved to the ball's nearest point: that brings it no farther
    from any point inside, so the rule above still holds there.
    """
    mesh = np.stack(np.meshgrid(*knots, indexing="ij"), axis=-1)  # [A, B, C, 3]
    points = grid.position(mesh.reshape(-1, 3) + np.asarray(block.start))
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1.0)
    return evaluate(distance, points).reshape(mesh.shape[:3])


def _may_cross(corner_values: FloatArray, grid: Grid, knots: list[IndexArray]) -> NDArray[np.bool_]:
    """Which coarse cells can hold the surface."""
    sizes = [np.diff(knot) * grid.spacing[axis] for axis, knot in enumerate(knots)]
    squares = np.meshgrid(*(size**2 for size in sizes), indexing="ij")
    margin = GRADIENT_ALLOWANCE * 0.5 * np.sqrt(np.sum(squares, axis=0))
    corners = _corner_stack(corner_values)
    one_sign = (corners > 0).all(axis=0) | (corners < 0).all(axis=0)
    near: NDArray[np.bool_] = ~one_sign | (np.abs(corners).min(axis=0) <= margin)
    return near


def _corner_stack(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The eight corners of every cell of a lattice, [8, cells...]."""
    ends = (slice(None, -1), slice(1, None))
    return np.stack([values[x, y, z] for x in ends for y in ends for z in ends])


def _fill(corner_values: FloatArray, knots: list[IndexArray]) -> NDArray[np.float32]:
    """Every point of the block as ±inf by the sign of a corner of its coarse cell."""
    far = np.where(corner_values > 0, np.float32(np.inf), np.float32(-np.inf))
    for axis in (2, 1, 0):
        far = np.repeat(far, np.append(np.diff(knots[axis]), 1), axis=axis)
    return far


def _points_of(cells: NDArray[np.bool_], knots: list[IndexArray]) -> NDArray[np.bool_]:
    """Which fine points lie in, or on the border of, the given coarse cells."""
    marked = cells
    for axis, knot in enumerate(knots):
        point = np.arange(knot[-1] + 1)
        right = np.clip(np.searchsorted(knot, point, side="right") - 1, 0, len(knot) - 2)
        left = np.clip(np.searchsorted(knot, point, side="left") - 1, 0, len(knot) - 2)
        marked = np.take(marked, right, axis=axis) | np.take(marked, left, axis=axis)
    return marked


def _near_ball(grid: Grid, block: Block) -> NDArray[np.bool_]:
    """Points inside the ball or within a cell's diagonal of it.

    Every cell that meets the ball has all its points here. So what is filled in beyond can
    make triangles outside the ball only, and those are clipped away.
    """
    x, y, z = (axis**2 for axis in block.axes(grid))
    limit = (1.0 + grid.cell_diagonal) ** 2
    if x.max() + y.max() + z.max() <= limit:
        return np.broadcast_to(np.True_, block.points)
    return np.asarray(x[:, None, None] + y[:, None] + z <= limit)


def _take_over(values: NDArray[np.float32], known: Layers) -> None:
    """Write what is known already into the block's first or last layers."""
    for axis, end, layer in known:
        own = np.moveaxis(values, axis, 0)[end]  # a view
        np.copyto(own, layer, where=np.isfinite(layer))


def _compute(
    distance: Distance,
    grid: Grid,
    block: Block,
    values: NDArray[np.float32],
    wanted: NDArray[np.bool_],
) -> None:
    """Write distances, in cells, at the wanted points that have none yet."""
    place = np.flatnonzero(wanted & np.isinf(values))
    index = np.stack(np.unravel_index(place, values.shape), axis=1)
    points = grid.position(index + np.asarray(block.start))
    values.reshape(-1)[place] = evaluate(distance, points) / grid.step


def _mixed(values: NDArray[np.float32], knots: list[IndexArray]) -> NDArray[np.bool_]:
    """Coarse cells that have points of both signs."""
    sizes = [len(knot) - 1 for knot in knots]
    both: NDArray[np.bool_] = _any_point(values < 0, sizes) & _any_point(values > 0, sizes)
    return both


def _any_point(mask: NDArray[np.bool_], sizes: list[int]) -> NDArray[np.bool_]:
    """Coarse cells that have a marked point in them or on their border."""
    spare = [
        (0, size * COARSE_CELLS + 1 - length)
        for size, length in zip(sizes, mask.shape, strict=True)
    ]
    mask = np.pad(mask, spare)
    for axis in range(3):
        lines = np.moveaxis(mask, axis, 0)
        ends = [lines[shift::COARSE_CELLS][: sizes[axis]] for shift in range(COARSE_CELLS + 1)]
        mask = np.moveaxis(np.logical_or.reduce(ends), 0, axis)
    return mask
