"""What lies outside the region's sphere: a radiance field on contracted coordinates.

The outside is parametrised by inverse distance as in NeRF++ (arXiv:2010.07492, section 4) and
folded into a ball of radius 2 by the contraction of Mip-NeRF 360 (arXiv:2111.12077, eq. 10).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import sphere_exit
from maquette.recon.surface.config import Background
from maquette.recon.surface.field import initialise, mlp_layers, spherical_harmonics
from maquette.recon.surface.hash_grid import HashGrid
from maquette.recon.surface.rendering import composite_weights
from maquette.recon.surface.sampling import draw

_BANDS = 2
_DENSITY_SCALE = 10.0
_FARTHEST = 1e-3  # least inverse radius
_FLOOR = 0.01  # weight that every section gets, so that nothing is never looked at


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
        initialise(self.color, generator)

    def forward(
        self, origins: Tensor, directions: Tensor, embedding: Tensor, inverse: Tensor
    ) -> Tensor:
        """Composite the outside along rays.

        Args:
            origins, directions: [R, 3] unit space.
            embedding: [R, E] appearance codes, E may be 0.
            inverse: [R, K] descending inverse radii in (0, 1], see `inverse_radii`.

        Returns:
            [R, 3] colours in 0..1; the farthest sample is opaque.
        """
        rays, count = inverse.shape
        hidden, weights = self._weights(origins, directions, inverse)
        codes = torch.cat([spherical_harmonics(directions, _BANDS), embedding], dim=1)
        codes = codes[:, None].expand(-1, count, -1).flatten(0, 1)
        colors = torch.sigmoid(self.color(torch.cat([hidden, codes], dim=1)))
        return (weights[..., None] * colors.view(rays, count, 3)).sum(1)

    @torch.no_grad()
    def focus(self, origins: Tensor, directions: Tensor, inverse: Tensor, noise: Tensor) -> Tensor:
        """Choose inverse radii where the outside is seen, from a look at evenly spread ones.

        Args:
            inverse: [R, K] descending, as `inverse_radii` gives them.
            noise: [R, N] in 0..1, where in its stratum each of the N results falls.

        Returns:
            [R, N] descending inverse radii.
        """
        _, weights = self._weights(origins, directions, inverse)
        edges = nn.functional.pad(0.5 * (inverse[:, 1:] + inverse[:, :-1]), (1, 0), value=1.0)
        edges = nn.functional.pad(edges, (0, 1), value=_FARTHEST)
        return 1.0 - draw(1.0 - edges, weights + _FLOOR, noise)

    def _weights(
        self, origins: Tensor, directions: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Hidden features [R·K, H] and compositing weights [R, K] at inverse radii [R, K]."""
        away = sphere_exit(origins, directions, 1.0 / inverse)  # [R, K]
        points = contract(origins[:, None] + away[..., None] * directions[:, None]).flatten(0, 1)
        hidden = self.layers(self.grid(points))
        density = nn.functional.softplus(self.density(hidden)).view(inverse.shape)
        steps = nn.functional.pad(inverse[:, :-1] - inverse[:, 1:], (0, 1), value=1e3)
        weights, _ = composite_weights(-torch.expm1(-_DENSITY_SCALE * density * steps))
        return hidden, weights


def inverse_radii(noise: Tensor) -> Tensor:
    """Stratified inverse radii from the unit sphere outwards; [R, K] descending in (0, 1].

    Args:
        noise: [R, K] in 0..1, where in its stratum each falls.
    """
    count = noise.shape[1]
    steps = torch.arange(count, device=noise.device)
    return 1.0 - (steps + noise) / count * (1.0 - _FARTHEST)


def contract(points: Tensor) -> Tensor:
    """Fold space into the ball of radius 2; points [..., 3] outside the unit ball move."""
    radius = points.norm(dim=-1, keepdim=True).clamp(min=1.0)
    return points * (2.0 - 1.0 / radius) / radius
