"""The hash grid's interpolation and the gradient of its table; the reference is hash_grid.py.

The loops are C++ inside Warp kernels, for the CPU and for CUDA: there a thread takes one point,
here it takes a long range of them, which halves the time that a call a point would need.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import functools
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.surface.kernels.launching import array, over_groups, over_ranges

# What both loops begin with: rows and weights of the 8 corners around point n. A NaN becomes 0.
_LEVEL = """
    const unsigned cells = lattice.data[3 * level], side = cells + 1;
    const long start = lattice.data[3 * level + 1];
    const bool dense = lattice.data[3 * level + 2];
    const unsigned step_x = dense ? side * side : 1u;
    const unsigned step_y = dense ? side : 2654435761u;
    const unsigned step_z = dense ? 1u : 805459861u;
    auto place = [=](float x) {
        x = x * scale + 0.5f;
        x = x > 0.0f ? x : 0.0f;
        return (x < 0.999999f ? x : 0.999999f) * cells;
    };
"""
_CORNERS = """
        const float x = place(points.data[3 * n]), y = place(points.data[3 * n + 1]);
        const float z = place(points.data[3 * n + 2]);
        const unsigned low_x = x, low_y = y, low_z = z;
        const float u[2] = {1.0f - (x - low_x), x - low_x};
        const float v[2] = {1.0f - (y - low_y), y - low_y};
        const float w[2] = {1.0f - (z - low_z), z - low_z};
        long row[8];
        float weight[8];
        for (unsigned corner = 0; corner < 8; ++corner) {
            const unsigned i = corner >> 2, j = (corner >> 1) & 1, k = corner & 1;
            const unsigned a = (low_x + i) * step_x, b = (low_y + j) * step_y;
            const unsigned c = (low_z + k) * step_z;
            row[corner] = (start + (dense ? a + b + c : (a ^ b ^ c) & mask)) * DIM;
            weight[corner] = u[i] * v[j] * w[k];
        }
"""
_GATHER = f"""{_LEVEL}
    const float* rows = table.data;
    float* target = result.data + (3 + level * DIM) * (long)count;
    for (int n = first; n < last; ++n) {{{_CORNERS}
        for (int f = 0; f < DIM; ++f) {{
            float sum = 0.0f;
            for (int c = 0; c < 8; ++c) sum += weight[c] * rows[row[c] + f];
            target[f * (long)count + n] = sum;
        }}
    }}
"""
_SCATTER = f"""{_LEVEL}
    float* rows = total.data;
    const float* source = gradient.data + (3 + level * DIM) * (long)across;
    for (int n = first; n < last; ++n) {{{_CORNERS}
        for (int f = 0; f < DIM; ++f) {{
            const float given = source[n * (long)down + f * (long)across];
            for (int c = 0; c < 8; ++c) {{
#ifdef __CUDA_ARCH__
                atomicAdd(rows + row[c] + f, weight[c] * given);
#else
                rows[row[c] + f] += weight[c] * given;  // one thread owns the level
#endif
            }}
        }}
    }}
"""


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
        [N, width] float32: the point, then its features; columns lie together in memory.
    """
    levels, dim = len(lattice), table.shape[1]
    result = torch.empty(width, len(points), device=points.device)
    result[:3] = points.t()
    result[3 + levels * dim :] = 0.0
    gather, _ = _kernels(dim)
    arguments = [
        len(points), _flat(points), _flat(table), _flat(lattice, wp.int32), levels, mask,
        0.5 / half_width, _flat(result),
    ]  # fmt: skip
    over_ranges(gather, len(points), points.device, arguments)
    return result.t()


def table_gradient(
    points: Tensor, gradient: Tensor, rows: int, dim: int, lattice: Tensor, mask: int,
    half_width: float,
) -> Tensor:  # fmt: skip
    """Gradient [rows, F] of the table, from that of `encode`'s result [N, width]."""
    total = torch.zeros(rows, dim, device=points.device)
    if not len(points):
        return total
    _, scatter = _kernels(dim)
    down, across = gradient.stride()
    arguments = [
        _flat(points), _flat(_memory(gradient)), down, across, _flat(lattice, wp.int32), mask,
        0.5 / half_width, _flat(total),
    ]  # fmt: skip
    over_groups(scatter, len(lattice), len(points), points.device, arguments)
    return total


def _memory(tensor: Tensor) -> Tensor:
    """What lies between the first and the last entry of a tensor of any strides."""
    size = 1 + sum(
        step * (length - 1) for step, length in zip(tensor.stride(), tensor.shape, strict=True)
    )
    return tensor.as_strided((size,), (1,))


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.view(-1), kind)


@functools.cache
def _kernels(dim: int) -> tuple[Any, Any]:
    """Kernels (gather, scatter) for features of one width."""

    @wp.func_native(_GATHER.replace("DIM", str(dim)))
    def gather_level(
        level: int, first: int, last: int, count: int, points: wp.array(dtype=wp.float32),
        table: wp.array(dtype=wp.float32), lattice: wp.array(dtype=wp.int32), mask: int,
        scale: float, result: wp.array(dtype=wp.float32),
    ): ...  # fmt: skip

    @wp.func_native(_SCATTER.replace("DIM", str(dim)))
    def scatter_level(
        level: int, first: int, last: int, points: wp.array(dtype=wp.float32),
        gradient: wp.array(dtype=wp.float32), down: int, across: int,
        lattice: wp.array(dtype=wp.int32), mask: int, scale: float,
        total: wp.array(dtype=wp.float32),
    ): ...  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def gather(
        start: int, size: int, count: int, points: wp.array(dtype=wp.float32),
        table: wp.array(dtype=wp.float32), lattice: wp.array(dtype=wp.int32), levels: int,
        mask: int, scale: float, result: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        first = start + wp.tid() * size
        for level in range(levels):
            gather_level(
                level, first, first + size, count, points, table, lattice, mask, scale, result
            )

    @wp.kernel(module="unique", enable_backward=False)
    def scatter(
        level: int, size: int, points: wp.array(dtype=wp.float32),
        gradient: wp.array(dtype=wp.float32), down: int, across: int,
        lattice: wp.array(dtype=wp.int32), mask: int, scale: float,
        total: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        first = wp.tid() * size
        scatter_level(
            level, first, first + size, points, gradient, down, across, lattice, mask, scale, total
        )

    return gather, scatter
