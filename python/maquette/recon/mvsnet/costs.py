"""Cost volumes of a batch, by the fused kernels or their plain twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

from maquette.recon.mvsnet import warping
from maquette.recon.mvsnet.kernels import sweeping


def variance(
    features: Sequence[Tensor], matrices: Tensor, depths: Tensor, has_kernels: bool = True
) -> Tensor:
    """See `warping.variance`; `features` of all views [B, C, h, w], the reference first."""
    reference, others = features[0].float(), torch.stack([one.float() for one in features[1:]])
    if not has_kernels:
        return warping.variance(reference, others, matrices, depths)
    found: Tensor = _Variance.apply(  # type: ignore[no-untyped-call]
        reference.permute(0, 2, 3, 1).contiguous(), others.permute(0, 1, 3, 4, 2).contiguous(),
        matrices, _hypotheses(depths),
    )  # fmt: skip
    return found.permute(0, 4, 1, 2, 3)  # [B, C, D, h, w], channels together in memory


def correlation(
    reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor, groups: int,
    has_kernels: bool = True,
) -> Tensor:  # fmt: skip
    """See `warping.correlation`."""
    if not has_kernels:
        return warping.correlation(reference.float(), other.float(), matrices, depths, groups)
    found: Tensor = _Correlation.apply(  # type: ignore[no-untyped-call]
        reference.float().permute(0, 2, 3, 1).contiguous(),
        other.float().permute(0, 2, 3, 1).contiguous(),
        matrices, _hypotheses(depths), groups,
    )  # fmt: skip
    return found.permute(0, 4, 1, 2, 3)  # [B, G, D, h, w]


def add_correlation(
    total: Tensor, reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor,
    weight: Tensor, has_kernels: bool = True,
) -> None:  # fmt: skip
    """Add `correlation` × a weight [B, 1, 1, h, w] to a total in place, without gradient.

    Args:
        total: [B, G, D, h, w], channels together in memory.
    """
    if not has_kernels:
        groups = total.shape[1]
        total += weight * correlation(reference, other, matrices, depths, groups, False)
        return
    sweeping.add_correlation(
        total.permute(0, 2, 3, 4, 1),
        reference.float().permute(0, 2, 3, 1).contiguous(),
        other.float().permute(0, 2, 3, 1).contiguous(),
        matrices, _hypotheses(depths), weight[:, 0, 0],
    )  # fmt: skip


def _hypotheses(depths: Tensor) -> Tensor:
    """Depths as the kernels read them: [B, D] where all pixels share them, else [B, D, h, w]."""
    return depths[:, :, 0, 0] if depths.dim() == 4 and depths.shape[2:] == (1, 1) else depths


def recomputed(part: nn.Module, volume: Tensor, is_wanted: bool) -> Tensor:
    """What a part makes of a volume; its activations are not kept for the backward pass."""
    if not is_wanted:
        found: Tensor = part(volume)
        return found
    return checkpoint(part, volume, use_reentrant=False)


class _Variance(Function):
    @staticmethod
    def forward(
        ctx: Any, reference: Tensor, others: Tensor, matrices: Tensor, depths: Tensor
    ) -> Tensor:
        ctx.save_for_backward(reference, others, matrices, depths)
        return sweeping.variance(reference, others, matrices, depths)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        made = sweeping.variance_gradients(gradients[0], *ctx.saved_tensors)
        return (*made, None, None)


class _Correlation(Function):
    @staticmethod
    def forward(
        ctx: Any, reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor, groups: int
    ) -> Tensor:
        ctx.save_for_backward(reference, other, matrices, depths)
        return sweeping.correlation(reference, other, matrices, depths, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        made = sweeping.correlation_gradients(gradients[0], *ctx.saved_tensors)
        return (*made, None, None, None)
