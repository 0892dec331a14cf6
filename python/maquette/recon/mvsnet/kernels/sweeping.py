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
from maquette.recon.mvsnet.kernels import bodies

_MOST_CHANNELS = 16  # of a block in the backward pass


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
    tensors = [reference.new_empty(0), result]
    _launch(kernel, reference, others, matrices, depths, tensors, levels=0)
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
    tensors = [reference.new_empty(0), result]
    _launch(kernel, reference, other[None], matrices[None], depths, tensors, levels=0)
    return result


def add_correlation(
    total: Tensor, reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor,
    weights: Tensor,
) -> None:  # fmt: skip
    """Add `correlation` × weights [B, h, w] to a contiguous total [B, D, h, w, G] in place."""
    kernel, _ = _kernels(reference.shape[-1], total.shape[-1])
    tensors = [weights, total]
    _launch(kernel, reference, other[None], matrices[None], depths, tensors, levels=0)


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

    @wp.func_native(filled(bodies.CORRELATION if groups else bodies.VARIANCE))
    def sweep(
        level: int, first: int, last: int, batch: int, planes: int, height: int, width: int,
        other_height: int, other_width: int, others_count: int, per_pixel: int,
        reference: wp.array(dtype=wp.float32), others: wp.array(dtype=wp.float32),
        matrices: wp.array(dtype=wp.float32), depths: wp.array(dtype=wp.float32),
        weights: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
    ): ...  # fmt: skip

    @wp.func_native(filled(bodies.CORRELATION_BACK if groups else bodies.VARIANCE_BACK))
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
        weights: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
    ):  # fmt: skip
        level, thread = wp.tid()
        first = start + thread * size
        sweep(
            first_level + level, first, first + size, batch, planes, height, width, other_height,
            other_width, others_count, per_pixel, reference, others, matrices, depths, weights,
            result,
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
