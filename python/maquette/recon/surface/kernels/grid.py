"""The hash grid's interpolation and the gradient of its table; the reference is hash_grid.py.

The loops are C++ inside Warp kernels, for the CPU and for CUDA: there a thread takes one point on
one level, here it takes a long range of them, which halves the time that a call a point would need.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import functools
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_levels

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
        float sum[DIM];
        for (int f = 0; f < DIM; ++f) sum[f] = 0.0f;
        for (int c = 0; c < 8; ++c) {{
#if defined(__CUDA_ARCH__) && DIM % 4 == 0
            for (int f = 0; f < DIM; f += 4) {{
                const float4 part = __ldg((const float4*)(rows + row[c] + f));
                sum[f] += weight[c] * part.x;
                sum[f + 1] += weight[c] * part.y;
                sum[f + 2] += weight[c] * part.z;
                sum[f + 3] += weight[c] * part.w;
            }}
#elif defined(__CUDA_ARCH__) && DIM % 2 == 0
            for (int f = 0; f < DIM; f += 2) {{
                const float2 part = __ldg((const float2*)(rows + row[c] + f));
                sum[f] += weight[c] * part.x;
                sum[f + 1] += weight[c] * part.y;
            }}
#else
            for (int f = 0; f < DIM; ++f) sum[f] += weight[c] * rows[row[c] + f];
#endif
        }}
        for (int f = 0; f < DIM; ++f) target[f * (long)count + n] = sum[f];
    }}
"""
# From capability 9.0 on, two or four neighbouring sums are added at once (PTX ISA 8.1, `red`).
_SCATTER = f"""{_LEVEL}
    float* rows = total.data;
    const float* source = gradient.data + (3 + level * DIM) * (long)across;
    for (int n = first; n < last; ++n) {{{_CORNERS}
        float given[DIM];
        for (int f = 0; f < DIM; ++f) given[f] = source[n * (long)down + f * (long)across];
        for (int c = 0; c < 8; ++c) {{
            float* to = rows + row[c];
            const float share = weight[c];
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && DIM % 4 == 0
            for (int f = 0; f < DIM; f += 4)
                asm volatile("red.global.add.v4.f32 [%0], {{%1, %2, %3, %4}};"
                             :: "l"(__cvta_generic_to_global(to + f)), "f"(share * given[f]),
                                "f"(share * given[f + 1]), "f"(share * given[f + 2]),
                                "f"(share * given[f + 3]) : "memory");
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && DIM % 2 == 0
            for (int f = 0; f < DIM; f += 2)
                asm volatile("red.global.add.v2.f32 [%0], {{%1, %2}};"
                             :: "l"(__cvta_generic_to_global(to + f)), "f"(share * given[f]),
                                "f"(share * given[f + 1]) : "memory");
#elif defined(__CUDA_ARCH__)
            for (int f = 0; f < DIM; ++f) atomicAdd(to + f, share * given[f]);
#else
            for (int f = 0; f < DIM; ++f) to[f] += share * given[f];  // one thread owns the level
#endif
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
        len(points), _flat(points), _flat(table), _flat(lattice, wp.int32), mask,
        0.5 / half_width, _flat(result),
    ]  # fmt: skip
    over_levels(gather, levels, len(points), points.device, arguments)
    return result.t()


def add_table_gradient(
    points: Tensor, gradient: Tensor, total: Tensor, lattice: Tensor, mask: int, half_width: float
) -> None:
    """Add what the gradient [N, width] of `encode`'s result gives to the table's, `total`."""
    if not len(points):
        return
    _, scatter = _kernels(total.shape[1])
    down, across = gradient.stride()
    arguments = [
        _flat(points), _flat(_memory(gradient)), down, across, _flat(lattice, wp.int32), mask,
        0.5 / half_width, _flat(total),
    ]  # fmt: skip
    over_levels(scatter, len(lattice), len(points), points.device, arguments, owned=True)


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
        first_level: int, start: int, size: int, count: int, points: wp.array(dtype=wp.float32),
        table: wp.array(dtype=wp.float32), lattice: wp.array(dtype=wp.int32), mask: int,
        scale: float, result: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        level, thread = wp.tid()
        first = start + thread * size
        gather_level(
            first_level + level, first, first + size, count, points, table, lattice, mask, scale,
            result,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def scatter(
        first_level: int, start: int, size: int, points: wp.array(dtype=wp.float32),
        gradient: wp.array(dtype=wp.float32), down: int, across: int,
        lattice: wp.array(dtype=wp.int32), mask: int, scale: float,
        total: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        level, thread = wp.tid()
        first = start + thread * size
        scatter_level(
            first_level + level, first, first + size, points, gradient, down, across, lattice,
            mask, scale, total,
        )  # fmt: skip

    return gather, scatter
