"""The hash grid's interpolation and the gradient of its table; the reference is hash_grid.py."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import functools
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.surface.kernels.launching import array, over_groups, over_items

_FAR_SIDE = 1.0 - 1e-6


def encode(
    points: Tensor, table: Tensor, lattice: Tensor, mask: int, half_width: float, width: int
) -> Tensor:
    """Points and their interpolated features.

    Args:
        points: [N, 3] float32.
        table: [rows, F] float32.
        lattice: [l, 3] int32: cells a side, first row, 1 when indexed densely.
        mask: Hashed rows are taken modulo mask + 1.
        width: Columns of the result, at least 3 + l·F; those behind are zero.

    Returns:
        [N, width] float32: the point, then its features.
    """
    levels, dim = len(lattice), table.shape[1]
    full = width == 3 + levels * dim
    result = (torch.empty if full else torch.zeros)(len(points), width, device=points.device)
    gather, _, vector = _kernels(dim, points.device.type)
    arguments = [
        array(points, wp.vec3), array(table, vector), array(lattice, wp.int32), levels, mask,
        half_width, array(result),
    ]  # fmt: skip
    over_items(gather, len(points), points.device, arguments)
    return result


def table_gradient(
    points: Tensor, gradient: Tensor, rows: int, dim: int, lattice: Tensor, mask: int,
    half_width: float,
) -> Tensor:  # fmt: skip
    """Gradient [rows, F] of the table, from that of `encode`'s result [N, width]."""
    total = torch.zeros(rows, dim, device=points.device)
    _, scatter, vector = _kernels(dim, points.device.type)
    arguments = [
        array(points, wp.vec3), array(gradient.contiguous()), array(lattice, wp.int32), mask,
        half_width, array(total, vector),
    ]  # fmt: skip
    over_groups(scatter, len(lattice), len(points), points.device, arguments)
    return total


@functools.cache
def _kernels(dim: int, device: str) -> tuple[Any, Any, Any]:
    """Kernels (gather, scatter) and the vector type for features of one width."""
    vector = wp.types.vector(length=dim, dtype=wp.float32)
    atomic = device == "cuda"

    @wp.func
    def unit(x: wp.vec3, half_width: float) -> wp.vec3:
        y = x / (2.0 * half_width) + wp.vec3(0.5, 0.5, 0.5)
        return wp.vec3(
            wp.clamp(y[0], 0.0, _FAR_SIDE),
            wp.clamp(y[1], 0.0, _FAR_SIDE),
            wp.clamp(y[2], 0.0, _FAR_SIDE),
        )

    @wp.func
    def row(x: int, y: int, z: int, cells: int, dense: int, mask: int) -> int:
        if dense == 1:
            return (x * (cells + 1) + y) * (cells + 1) + z
        return (x ^ (y * wp.int32(-1640531535)) ^ (z * wp.int32(805459861))) & mask

    @wp.func
    def share(at: float, step: int) -> float:
        return wp.where(step == 1, at, 1.0 - at)

    @wp.kernel(module="unique", enable_backward=False)
    def gather(
        first: int, points: wp.array(dtype=wp.vec3), table: wp.array(dtype=vector),
        lattice: wp.array2d(dtype=wp.int32), levels: int, mask: int, half_width: float,
        result: wp.array2d(dtype=wp.float32),
    ):  # fmt: skip
        n = first + wp.tid()
        point = points[n]
        at = unit(point, half_width)
        for axis in range(3):
            result[n, axis] = point[axis]
        for level in range(levels):
            cells, start, dense = lattice[level, 0], lattice[level, 1], lattice[level, 2]
            scaled = at * float(cells)
            x, y, z = int(scaled[0]), int(scaled[1]), int(scaled[2])
            inside = scaled - wp.vec3(float(x), float(y), float(z))
            total = vector(0.0)
            for corner in range(8):
                i, j, k = corner >> 2, (corner >> 1) & 1, corner & 1
                weight = share(inside[0], i) * share(inside[1], j) * share(inside[2], k)
                total += table[start + row(x + i, y + j, z + k, cells, dense, mask)] * weight
            for column in range(dim):
                result[n, 3 + level * dim + column] = total[column]

    @wp.kernel(module="unique", enable_backward=False)
    def scatter(
        level: int, points: wp.array(dtype=wp.vec3), gradient: wp.array2d(dtype=wp.float32),
        lattice: wp.array2d(dtype=wp.int32), mask: int, half_width: float,
        total: wp.array(dtype=vector),
    ):  # fmt: skip
        n = wp.tid()
        cells, start, dense = lattice[level, 0], lattice[level, 1], lattice[level, 2]
        scaled = unit(points[n], half_width) * float(cells)
        x, y, z = int(scaled[0]), int(scaled[1]), int(scaled[2])
        inside = scaled - wp.vec3(float(x), float(y), float(z))
        given = vector(0.0)
        for column in range(dim):
            given[column] = gradient[n, 3 + level * dim + column]
        for corner in range(8):
            i, j, k = corner >> 2, (corner >> 1) & 1, corner & 1
            weight = share(inside[0], i) * share(inside[1], j) * share(inside[2], k)
            at = start + row(x + i, y + j, z + k, cells, dense, mask)
            if wp.static(atomic):
                wp.atomic_add(total, at, given * weight)
            else:
                total[at] = total[at] + given * weight  # one thread owns the level

    return gather, scatter, vector
