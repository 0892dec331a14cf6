"""Morton order: Gaussians that are near one another come near one another in a file."""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 20  # of each axis


def morton_order(means: Tensor) -> Tensor:
    """The order of positions [N, 3] along a Z curve through their box, [N] int64."""
    low, high = means.amin(dim=0), means.amax(dim=0)
    unit = (means - low) / (high - low).clamp_min(1e-30)
    cells = (unit.double() * (2**_BITS - 1)).long()
    code = torch.zeros(len(means), dtype=torch.int64, device=means.device)
    for bit in range(_BITS):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return torch.argsort(code, stable=True)
