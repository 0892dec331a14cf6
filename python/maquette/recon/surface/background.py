"""What lies outside the region's sphere: a radiance field on contracted coordinates.

The outside is walked through as outside.py says and folded into a ball of radius 2 by the
contraction of Mip-NeRF 360 (arXiv:2111.12077, eq. 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import Rays
from maquette.recon.surface.config import Background
from maquette.recon.surface.field import initialise, mlp_layers, spherical_harmonics
from maquette.recon.surface.hash_grid import HashGrid
from maquette.recon.surface.outside import Outside
from maquette.recon.surface.rendering import composite_weights
from maquette.recon.surface.sampling import draw

_BANDS = 2
_DENSITY_SCALE = 10.0
_EMPTY = -3.0  # of the density's logarithm at the start: the outside hides nothing
_FLOOR = 0.01  # weight that every section gets, so that nothing is never looked at


@dataclass(frozen=True)
class Surroundings:
    """What a batch of rays sees outside the ball.

    Attributes:
        before: [R, 3] colours in front of the ball, weighted.
        veil: [R] share of what is behind that is hidden by them.
        behind: [R, 3] colours behind the ball, as seen through what is before it.
    """

    before: Tensor
    veil: Tensor
    behind: Tensor


class BackgroundField(nn.Module):
    """Colours of rays that leave the unit ball."""

    def __init__(
        self, config: Background, embedding: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        grid, mlp = config.encoding.hashgrid, config.mlp
        self.grid = HashGrid(
            config.encoding.levels, grid.min_logres, grid.max_logres, grid.dict_size, grid.dim,
            half_width=2.0, generator=generator,
        )  # fmt: skip
        self.layers = mlp_layers(self.grid.width, mlp.hidden_dim, mlp.num_layers, generator)
        self.density = nn.Linear(mlp.hidden_dim, 1)
        self.color = nn.Linear(mlp.hidden_dim + _BANDS**2 + embedding, 3)
        initialise(self.density, generator)
        nn.init.constant_(self.density.bias, _EMPTY)
        initialise(self.color, generator)

    def forward(
        self, rays: Rays, outside: Outside, embedding: Tensor, share: Tensor
    ) -> Surroundings:
        """Composite the outside along rays.

        Args:
            embedding: [R, E] appearance codes, E may be 0.
            share: [R, K] ascending, of the rays' `outside`; the last place behind is opaque.
        """
        count = share.shape[1]
        hidden, weights = self._weights(rays, outside, share)
        codes = torch.cat([spherical_harmonics(rays.directions, _BANDS), embedding], dim=1)
        codes = codes[:, None].expand(-1, count, -1).flatten(0, 1)
        colors = torch.sigmoid(self.color(torch.cat([hidden, codes], dim=1)))
        weighted = weights[..., None] * colors.view(*share.shape, 3)
        is_before = outside.is_before(share)
        before = torch.where(is_before[..., None], weighted, 0.0).sum(1)
        veil = torch.where(is_before, weights, 0.0).sum(1)
        return Surroundings(before, veil, weighted.sum(1) - before)

    @torch.no_grad()
    def focus(self, rays: Rays, outside: Outside, looks: Tensor, noise: Tensor) -> Tensor:
        """Choose places where the outside is seen, from a look at evenly spread ones.

        Args:
            looks: [R, K] ascending shares of `outside`.
            noise: [R, N] in 0..1, where in its stratum each of the N results falls.

        Returns:
            [R, N] ascending shares.
        """
        _, weights = self._weights(rays, outside, looks)
        edges = nn.functional.pad(0.5 * (looks[:, 1:] + looks[:, :-1]), (1, 0), value=0.0)
        edges = nn.functional.pad(edges, (0, 1), value=1.0)
        return draw(edges, weights + _FLOOR, noise)

    def _weights(self, rays: Rays, outside: Outside, share: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden features [R·K, H] and compositing weights [R, K] at shares [R, K]."""
        away = outside.along(share)
        points = rays.origins[:, None] + away[..., None] * rays.directions[:, None]
        hidden = self.layers(self.grid(contract(points).flatten(0, 1)))
        density = nn.functional.softplus(self.density(hidden)).view(share.shape)
        steps = outside.steps(share)
        is_last = steps.isinf()
        opacity = -torch.expm1(-_DENSITY_SCALE * density * torch.where(is_last, 0.0, steps))
        return hidden, composite_weights(torch.where(is_last, 1.0, opacity))[0]


def contract(points: Tensor) -> Tensor:
    """Fold space into the ball of radius 2; points [..., 3] outside the unit ball move."""
    radius = points.norm(dim=-1, keepdim=True).clamp(min=1.0)
    return points * (2.0 - 1.0 / radius) / radius
