"""Random changes of pixels' planes, the same whoever computes them; symbols as in `stacks.py`."""

from __future__ import annotations

import torch
from torch import Tensor

from maquette.recon.mvs.sweep_state import Effort


def change(
    kept: Tensor, rays: Tensor, effort: Effort, turn: int, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Planes [N, 3] with another depth, normal or both, and which are allowed, [N]."""
    inverse = (kept * rays).sum(1)
    normal = kept / kept.norm(dim=1, keepdim=True)
    if turn == 3:
        inverse = effort.least + (0.5 + 0.5 * draws.next()) * (effort.most - effort.least)
    elif turn != 1:
        inverse = inverse * (1 + effort.depth_step * draws.next())
    if turn == 4:
        normal = torch.stack([draws.next() for _ in range(3)], 1)
    elif turn != 0:
        steps = torch.stack([draws.next() for _ in range(3)], 1)
        normal = normal + effort.normal_step * steps
    toward = (normal * rays).sum(1)
    if turn == 4:
        normal, toward = normal * toward.sign()[:, None], toward.abs()
    allowed = (inverse >= effort.least) & (inverse <= effort.most)
    allowed &= toward >= 0.1 * normal.norm(dim=1)
    return normal * (inverse / toward)[:, None], allowed


class Draws:
    """Uniform numbers in −1 .. 1 for pixels, each from its own sequence.

    Source: M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms
    for Random Number Generation", 2014: PCG-RXS-M-XS with 32 bits.
    """

    def __init__(self, numbers: Tensor, seed: int) -> None:
        self._state = _low(numbers * 2654435761) ^ _low(
            torch.tensor(seed * 805459861, device=numbers.device)
        )

    def next(self) -> Tensor:
        self._state = _low(self._state * 747796405 + 2891336453)
        word = _low(((self._state >> ((self._state >> 28) + 4)) ^ self._state) * 277803737)
        word = (word >> 22) ^ word
        return (word >> 8).float() * (2.0 / 2**24) - 1.0


def _low(numbers: Tensor) -> Tensor:
    return numbers & 0xFFFFFFFF
