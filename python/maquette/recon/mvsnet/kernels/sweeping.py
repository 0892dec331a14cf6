"""Cost volumes without the warped features in memory; the twins are in warping.py.

Features lie with their channels together, [B, h, w, C]. An item is one hypothesis of one pixel; of
each other view it reads four feature vectors and mixes them. In the backward pass a CPU thread has
a block of channels and all items in their order: sums repeat, whatever the number of threads. On
CUDA a thread has one item and one block, and adds atomically.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import functools
from typing import Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_levels

_MOST_CHANNELS = 16  # of a block in the backward pass

# Where item n lies: batch b, plane d, pixel p = (y, x); and its depth.
_ITEM = """
        const long p = n % pixels, plane = n / pixels, b = plane / planes;
        const float x = (float)(p % width), y = (float)(p / width);
        const float depth = depths.data[per_pixel ? n : plane];
        const float* own = reference.data + (b * pixels + p) * DIM;
"""
# Weights and places of the four neighbours in view v, clamped into it; all 0 where none is seen.
_PLACE = """
            const float* m = matrices.data + (v * batch + b) * 12;
            const float w = (m[8] * x + m[9] * y + m[10]) * depth + m[11];
            const float inverse = w > 0.0f ? 1.0f / w : 0.0f;
            const float s = ((m[0] * x + m[1] * y + m[2]) * depth + m[3]) * inverse;
            const float t = ((m[4] * x + m[5] * y + m[6]) * depth + m[7]) * inverse;
            const bool seen = w > 0.0f && s > -1.0f && t > -1.0f && s < other_width
                && t < other_height;
            const float left = seen ? floorf(s) : 0.0f, top = seen ? floorf(t) : 0.0f;
            const int i = (int)left, j = (int)top;
            const float fx = s - left, fy = t - top;
            const bool has_i = seen && i >= 0, has_k = seen && i + 1 < other_width;
            const bool has_j = j >= 0, has_l = j + 1 < other_height;
            const float w00 = has_i && has_j ? (1.0f - fx) * (1.0f - fy) : 0.0f;
            const float w01 = has_k && has_j ? fx * (1.0f - fy) : 0.0f;
            const float w10 = has_i && has_l ? (1.0f - fx) * fy : 0.0f;
            const float w11 = has_k && has_l ? fx * fy : 0.0f;
            const long near = (v * batch + b) * (long)other_width * other_height;
            const long above = near + (long)(j > 0 ? j : 0) * other_width;
            const long below = near + (long)(has_l ? j + 1 : (j > 0 ? j : 0)) * other_width;
            const int first_column = i > 0 ? i : 0, second_column = has_k ? i + 1 : first_column;
            const long a00 = (above + first_column) * DIM, a01 = (above + second_column) * DIM;
            const long a10 = (below + first_column) * DIM, a11 = (below + second_column) * DIM;
"""
_SIZES = """
    const long pixels = (long)height * width;
"""
# On CUDA a thread sums half of the channels at a time: all of them would fill its registers.
_VARIANCE = f"""
#if defined(__CUDA_ARCH__)
#define BLOCK (DIM < 16 ? DIM : 16)
#else
#define BLOCK DIM
#endif
{_SIZES}
    const float share = 1.0f / (others_count + 1);
    for (long n = first; n < last; ++n) {{{_ITEM}
        for (int begin = 0; begin < DIM; begin += BLOCK) {{
            float sum[BLOCK], squares[BLOCK];
            for (int c = 0; c < BLOCK; ++c) sum[c] = squares[c] = 0.0f;
            for (int v = 0; v < others_count; ++v) {{{_PLACE}
                const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
                const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
                for (int c = 0; c < BLOCK; ++c) {{
                    const float apart = w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]
                        - own[begin + c];
                    sum[c] += apart;
                    squares[c] += apart * apart;
                }}
            }}
            float* to = result.data + n * DIM + begin;
            for (int c = 0; c < BLOCK; ++c) {{
                const float mean = sum[c] * share;
                to[c] = squares[c] * share - mean * mean;
            }}
        }}
    }}
"""
_ADD = """
#if defined(__CUDA_ARCH__)
#define ADD(to, value) atomicAdd(&(to), value)
#else
#define ADD(to, value) (to) += (value)
#endif
"""
_SCATTER = """
            float* to = others_gradient.data + begin;
            if (w00 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a00 + c], w00 * slope[c]);
            if (w01 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a01 + c], w01 * slope[c]);
            if (w10 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a10 + c], w10 * slope[c]);
            if (w11 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a11 + c], w11 * slope[c]);
"""
_APART = """
            const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
            const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
            float apart[CHUNK];
            for (int c = 0; c < CHUNK; ++c)
                apart[c] =
                    w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c] - own[begin + c];
"""
_VARIANCE_BACK = f"""{_ADD}{_SIZES}
    const int begin = level * CHUNK;
    const float share = 1.0f / (others_count + 1);
    for (long n = first; n < last; ++n) {{{_ITEM}
        float mean[CHUNK], whole[CHUNK];
        for (int c = 0; c < CHUNK; ++c) mean[c] = whole[c] = 0.0f;
        const float* given = gradient.data + n * DIM + begin;
        for (int v = 0; v < others_count; ++v) {{{_PLACE}{_APART}
            for (int c = 0; c < CHUNK; ++c) mean[c] += share * apart[c];
        }}
        for (int v = 0; v < others_count; ++v) {{{_PLACE}{_APART}
            float slope[CHUNK];
            for (int c = 0; c < CHUNK; ++c) {{
                slope[c] = 2.0f * share * (apart[c] - mean[c]) * given[c];
                whole[c] -= slope[c];
            }}
{_SCATTER}        }}
        float* home = reference_gradient.data + (b * pixels + p) * DIM + begin;
        for (int c = 0; c < CHUNK; ++c) ADD(home[c], whole[c]);
    }}
"""
_CORRELATION = f"""{_SIZES}
    const int v = 0;
    for (long n = first; n < last; ++n) {{{_ITEM}{_PLACE}
        const float *p00 = others.data + a00, *p01 = others.data + a01;
        const float *p10 = others.data + a10, *p11 = others.data + a11;
        float product[DIM];
        for (int c = 0; c < DIM; ++c)
            product[c] = own[c] * (w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]);
        float* to = result.data + n * GROUPS;
        for (int g = 0; g < GROUPS; ++g) {{
            float sum = 0.0f;
            for (int c = 0; c < DIM / GROUPS; ++c) sum += product[g * (DIM / GROUPS) + c];
            to[g] = sum * ((float)GROUPS / DIM);
        }}
    }}
"""
_CORRELATION_BACK = f"""{_ADD}{_SIZES}
    const int begin = level * CHUNK, v = 0;
    for (long n = first; n < last; ++n) {{{_ITEM}{_PLACE}
        const float* source = gradient.data + n * GROUPS;
        const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
        const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
        float given[CHUNK], slope[CHUNK];
        for (int c = 0; c < CHUNK; ++c)
            given[c] = source[(begin + c) / (DIM / GROUPS)] * ((float)GROUPS / DIM);
        float* home = reference_gradient.data + (own - reference.data) + begin;
        for (int c = 0; c < CHUNK; ++c)
            ADD(home[c], given[c] * (w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]));
        for (int c = 0; c < CHUNK; ++c) slope[c] = given[c] * own[begin + c];
{_SCATTER}    }}
"""


def variance(reference: Tensor, others: Tensor, matrices: Tensor, depths: Tensor) -> Tensor:
    """The variance over views, [B, D, h, w, C]; see `warping.variance`.

    Args:
        reference: [B, h, w, C] float32.
        others: [V-1, B, h', w', C] float32.
        matrices: [V-1, B, 3, 4] float32.
        depths: [B, D] or [B, D, h, w] float32.
    """
    batch, height, width, channels = reference.shape
    result = reference.new_empty(batch, depths.shape[1], height, width, channels)
    kernel, _ = _kernels(channels, 0)
    _launch(kernel, reference, others, matrices, depths, [result], levels=0)
    return result


def variance_gradients(
    gradient: Tensor, reference: Tensor, others: Tensor, matrices: Tensor, depths: Tensor
) -> tuple[Tensor, Tensor]:
    """What the gradient [B, D, h, w, C] of `variance` gives to reference and others."""
    return _gradients(0, gradient, reference, others, matrices, depths)


def correlation(
    reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor, groups: int
) -> Tensor:
    """Group-wise correlation with one view, [B, D, h, w, G]; see `warping.correlation`.

    Args:
        reference, other: [B, h, w, C] and [B, h', w', C] float32.
        matrices: [B, 3, 4] float32.
        depths: [B, D] or [B, D, h, w] float32.
    """
    batch, height, width, channels = reference.shape
    result = reference.new_empty(batch, depths.shape[1], height, width, groups)
    kernel, _ = _kernels(channels, groups)
    _launch(kernel, reference, other[None], matrices[None], depths, [result], levels=0)
    return result


def correlation_gradients(
    gradient: Tensor, reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor
) -> tuple[Tensor, Tensor]:
    """What the gradient [B, D, h, w, G] of `correlation` gives to both views."""
    groups = gradient.shape[-1]
    found = _gradients(groups, gradient, reference, other[None], matrices[None], depths)
    return found[0], found[1][0]


def _gradients(
    groups: int, gradient: Tensor, reference: Tensor, others: Tensor, matrices: Tensor,
    depths: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    made = torch.zeros_like(reference), torch.zeros_like(others)
    channels = reference.shape[-1]
    _, kernel = _kernels(channels, groups)
    tensors = [gradient.contiguous(), *made]
    levels = channels // _chunk(channels)
    _launch(kernel, reference, others, matrices, depths, tensors, levels)
    return made


def _launch(
    kernel: Any, reference: Tensor, others: Tensor, matrices: Tensor, depths: Tensor,
    tensors: list[Tensor], levels: int,
) -> None:  # fmt: skip
    """Run a kernel; levels: blocks of channels that own their memory, 0 for a forward pass."""
    batch, height, width, _ = reference.shape
    planes = depths.shape[1]
    arguments = [
        batch, planes, height, width, others.shape[2], others.shape[3], len(others),
        int(depths.dim() == 4),
        *(_flat(tensor) for tensor in (reference, others, matrices, depths, *tensors)),
    ]  # fmt: skip
    count = batch * planes * height * width
    over_levels(kernel, levels or 1, count, reference.device, arguments, owned=bool(levels))


def _chunk(channels: int) -> int:
    """Channels of a block: two blocks at least."""
    return min(_MOST_CHANNELS, max(1, channels // 2))


def _flat(tensor: Tensor) -> Any:
    return array(tensor.contiguous().view(-1), wp.float32)


@functools.cache
def _kernels(channels: int, groups: int) -> tuple[Any, Any]:
    """Kernels (forward, backward) for features of one width: variance with 0 groups."""

    def filled(code: str) -> str:
        values = {"DIM": channels, "CHUNK": _chunk(channels), "GROUPS": groups}
        for name, value in values.items():
            code = code.replace(name, str(value))
        return code

    @wp.func_native(filled(_CORRELATION if groups else _VARIANCE))
    def sweep(
        level: int, first: int, last: int, batch: int, planes: int, height: int, width: int,
        other_height: int, other_width: int, others_count: int, per_pixel: int,
        reference: wp.array(dtype=wp.float32), others: wp.array(dtype=wp.float32),
        matrices: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
        result: wp.array(dtype=wp.float32),
    ): ...  # fmt: skip

    @wp.func_native(filled(_CORRELATION_BACK if groups else _VARIANCE_BACK))
    def sweep_back(
        level: int, first: int, last: int, batch: int, planes: int, height: int, width: int,
        other_height: int, other_width: int, others_count: int, per_pixel: int,
        reference: wp.array(dtype=wp.float32), others: wp.array(dtype=wp.float32),
        matrices: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
        gradient: wp.array(dtype=wp.float32), reference_gradient: wp.array(dtype=wp.float32),
        others_gradient: wp.array(dtype=wp.float32),
    ): ...  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        first_level: int, start: int, size: int, batch: int, planes: int, height: int, width: int,
        other_height: int, other_width: int, others_count: int, per_pixel: int,
        reference: wp.array(dtype=wp.float32), others: wp.array(dtype=wp.float32),
        matrices: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
        result: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        level, thread = wp.tid()
        first = start + thread * size
        sweep(
            first_level + level, first, first + size, batch, planes, height, width, other_height,
            other_width, others_count, per_pixel, reference, others, matrices, depths, result,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        first_level: int, start: int, size: int, batch: int, planes: int, height: int, width: int,
        other_height: int, other_width: int, others_count: int, per_pixel: int,
        reference: wp.array(dtype=wp.float32), others: wp.array(dtype=wp.float32),
        matrices: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
        gradient: wp.array(dtype=wp.float32), reference_gradient: wp.array(dtype=wp.float32),
        others_gradient: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        level, thread = wp.tid()
        first = start + thread * size
        sweep_back(
            first_level + level, first, first + size, batch, planes, height, width, other_height,
            other_width, others_count, per_pixel, reference, others, matrices, depths, gradient,
            reference_gradient, others_gradient,
        )  # fmt: skip

    return forward, backward
