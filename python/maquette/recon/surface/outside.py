"""The parts of rays outside the unit ball: before it, where a camera stands outside, and behind it.

A ray is measured by the angle θ in which its places are seen from where it comes nearest to the
ball's centre: t = m + a tan θ, with m the distance to that place and a its distance from the
centre, at least 1. Far away a step of θ is one of inverse distance, as in NeRF++
(arXiv:2010.07492, section 4); near the ball it is one of distance, as in the contraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.geometry.rays import sphere_span

_FARTHEST = 1e3  # radii


@dataclass(frozen=True)
class Outside:
    """The outside of a batch of rays, as lengths of θ; all [R, 1].

    Attributes:
        middle: m, distance of the place nearest to the centre; negative behind the camera.
        scale: a.
        begin: θ at the camera.
        before: Length from the camera to the ball, 0 for cameras in it. A ray that misses the
            ball passes it where it is nearest.
        gap: Length within the ball.
        behind: Length from the ball to the farthest place.
    """

    middle: Tensor
    scale: Tensor
    begin: Tensor
    before: Tensor
    gap: Tensor
    behind: Tensor

    @classmethod
    def of(cls, origins: Tensor, directions: Tensor) -> Outside:
        """Of rays from origins [R, 3] in unit directions [R, 3]."""
        middle = -(origins * directions).sum(-1, keepdim=True)
        scale = (origins + middle * directions).norm(dim=-1, keepdim=True).clamp(min=1.0)
        near, far = sphere_span(origins, directions)

        def angle(along: Tensor) -> Tensor:
            return torch.atan((along - middle) / scale)

        begin, enters, leaves = (
            angle(torch.zeros_like(middle)),
            angle(near[:, None]),
            angle(far[:, None]),
        )
        end = torch.atan(_FARTHEST / scale)
        return cls(middle, scale, begin, enters - begin, leaves - enters, end - leaves)

    def at(self, chosen: Tensor) -> Outside:
        """Of some of the rays: [N] int64."""
        parts = (self.middle, self.scale, self.begin, self.before, self.gap, self.behind)
        return Outside(*(part[chosen] for part in parts))

    @property
    def length(self) -> Tensor:
        """Of both parts, [R, 1]."""
        return self.before + self.behind

    def is_before(self, share: Tensor) -> Tensor:
        """Which of the places at shares [R, K] of the length lie before the ball."""
        return share * self.length < self.before

    def along(self, share: Tensor) -> Tensor:
        """Distances [R, K] of the places at shares [R, K] of the length."""
        passed = share * self.length
        angle = self.begin + passed + torch.where(passed < self.before, 0.0, self.gap)
        return self.middle + self.scale * torch.tan(angle)

    def steps(self, share: Tensor) -> Tensor:
        """Lengths [R, K] from each place to the next, at most to the ball; without end at last."""
        passed = share * self.length
        ends = torch.nn.functional.pad(passed[:, 1:], (0, 1), value=torch.inf)
        limit = torch.where(passed < self.before, self.before, torch.inf)
        return torch.minimum(ends, limit) - passed


def even_shares(noise: Tensor) -> Tensor:
    """Stratified shares [R, K], ascending in 0..1.

    Args:
        noise: [R, K] in 0..1, where in its stratum each falls.
    """
    count = noise.shape[1]
    return (torch.arange(count, device=noise.device) + noise) / count
