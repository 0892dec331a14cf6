"""How a Gaussian becomes several that together look as it did.

Source: Kheradmand et al., "3D Gaussian splatting as Markov chain Monte Carlo", 2024, equation 9.
With N copies of opacity o' the sum over i ≤ N and k < i of binomials(i - 1, k) in it is the
binomial (N, k + 1).
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

MOST_COPIES = 51


def shared_out(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity of each of the copies [N], and the factor [N] on their standard deviations.

    Args:
        opacities: [N] before, 0..1.
        copies: [N] int64, how many there are afterwards, from 1 on.
    """
    count = copies.clamp(1, MOST_COPIES)
    before = opacities.double()
    after = 1.0 - (1.0 - before).pow(1.0 / count)
    powers = after[:, None] ** torch.arange(1, MOST_COPIES + 1, device=after.device)
    total = (_coefficients(after.device)[count - 1] * powers).sum(1)
    return after.float(), (before / total).float()


@functools.cache
def _coefficients(device: torch.device) -> Tensor:
    """Row N - 1, column k: (-1)^k binomial(N, k + 1) / √(k + 1)."""
    rows = [
        [(-1) ** k * math.comb(n, k + 1) / math.sqrt(k + 1) for k in range(MOST_COPIES)]
        for n in range(1, MOST_COPIES + 1)
    ]
    return torch.tensor(rows, dtype=torch.float64, device=device)
