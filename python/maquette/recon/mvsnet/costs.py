"""Cost volumes of a batch, by the fused kernels or their plain twins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from maquette.recon.mvsnet import warping


def variance(
    features: Sequence[Tensor], matrices: Tensor, depths: Tensor, has_kernels: bool = True
) -> Tensor:
    """See `warping.variance`; `features` of all views [B, C, h, w], the reference first."""
    return warping.variance(features[0], torch.stack(list(features[1:])), matrices, depths)


def correlation(
    reference: Tensor, other: Tensor, matrices: Tensor, depths: Tensor, groups: int,
    has_kernels: bool = True,
) -> Tensor:  # fmt: skip
    """See `warping.correlation`."""
    return warping.correlation(reference, other, matrices, depths, groups)


def recomputed(part: nn.Module, volume: Tensor, is_wanted: bool) -> Tensor:
    """What a part makes of a volume; its activations are not kept for the backward pass."""
    if not is_wanted:
        found: Tensor = part(volume)
        return found
    return checkpoint(part, volume, use_reentrant=False)
