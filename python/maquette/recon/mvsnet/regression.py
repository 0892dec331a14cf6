"""From logits of hypotheses to a depth, how sure it is, and how far it may be off."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_NEIGHBOURS = 4  # whose probabilities make up the confidence


def expectation(probability: Tensor, values: Tensor) -> Tensor:
    """The mean of values [B, D] or [B, D, h, w] by probabilities [B, D, h, w]: [B, h, w].

    Source: Yao et al., MVSNet, ECCV 2018, eq. 3 (soft argmin).
    """
    if values.dim() == 2:
        values = values[..., None, None]
    return (probability * values).sum(1)


def windowed(probability: Tensor, radius: int) -> Tensor:
    """Probabilities of the hypotheses around the most likely one, as shares of their sum.

    Args:
        probability: [B, D, h, w].
        radius: Hypotheses on either side that count.
    Source: Tulyakov et al., Practical deep stereo, NeurIPS 2018, eq. 2 (sub-pixel MAP); differs:
        on the probabilities.
    """
    count = probability.shape[1]
    places = torch.arange(count, device=probability.device)[None, :, None, None]
    near = (places - probability.argmax(1, keepdim=True)).abs() <= radius
    inside = probability * near
    return inside / inside.sum(1, keepdim=True).clamp(min=1e-12)


def confidence(probability: Tensor) -> Tensor:
    """The sum of the four probabilities around the expected index, [B, h, w] in 0..1.

    Source: Yao et al., MVSNet, ECCV 2018, section 3.3 (probability map).
    """
    count = probability.shape[1]
    indices = torch.arange(count, device=probability.device, dtype=torch.float32)
    index = expectation(probability, indices.expand(len(probability), -1)).long()
    padded = functional.pad(probability, (0, 0, 0, 0, 1, 2))
    first = index.clamp(0, count - 1)[:, None]
    parts = [padded.gather(1, first + offset) for offset in range(_NEIGHBOURS)]
    return torch.cat(parts, 1).sum(1).clamp(max=1.0)


def deviation(probability: Tensor, values: Tensor, mean: Tensor) -> Tensor:
    """Standard deviation [B, h, w] of values [B, D, h, w] around their mean [B, h, w].

    Source: Cheng et al., UCS-Net, CVPR 2020, eq. 2.
    """
    return (probability * (values - mean[:, None]).square()).sum(1).sqrt()
