"""Where to evaluate the field along rays, guided by a coarse cache of its values.

A dense grid of recent signed distances answers "where could the surface be" at a fraction of
the network's cost, so that the network is only asked near the surface and at a few points
elsewhere. No gradient flows through anything in this room.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import Rays, sphere_span
from maquette.recon.surface.rendering import composite_weights, section_opacity
from maquette.recon.surface.settings import Render

_PROBES = 64
_FLOOR = 1e-4  # weight that every section gets, so that nothing is never looked at
_REFRESH_ITERATIONS = 40
_NEAR = 0.12  # unit space: values below this are renewed in every round


class DistanceCache(nn.Module):
    """Signed distances on [-1, 1]³, trilinear, refreshed plane by plane while training.

    Attributes:
        values: [1, 1, C, C, C] float32, axes z, y, x.
    """

    values: Tensor

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.register_buffer("values", torch.ones(1, 1, resolution, resolution, resolution))

    def forward(self, points: Tensor) -> Tensor:
        """Interpolate at points [..., 3] in unit space -> [...]."""
        grid = points.reshape(1, 1, 1, -1, 3)
        found = nn.functional.grid_sample(
            self.values, grid, align_corners=True, padding_mode="border"
        )
        return found.view(points.shape[:-1])

    @torch.no_grad()
    def refresh(self, distance: Callable[[Tensor], Tensor], iteration: int) -> None:
        """Renew the planes whose turn it is; all of them within _REFRESH_ITERATIONS.

        Values far from the surface are only renewed in every fourth round.
        """
        count = -(-self.resolution // _REFRESH_ITERATIONS)
        for offset in range(count):
            turn = iteration * count + offset
            near = turn // self.resolution % 4 != 0
            self._renew(turn % self.resolution, distance, _NEAR if near else None)

    @torch.no_grad()
    def rebuild(self, distance: Callable[[Tensor], Tensor]) -> None:
        """Renew everything."""
        for plane in range(self.resolution):
            self._renew(plane, distance)

    def _renew(
        self, plane: int, distance: Callable[[Tensor], Tensor], within: float | None = None
    ) -> None:
        axis = torch.linspace(-1, 1, self.resolution, device=self.values.device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        inside = x * x + y * y + axis[plane] ** 2 < 1.1  # rays only run inside the ball
        if within is not None:
            inside &= self.values[0, 0, plane].abs() < within
        points = torch.stack([x, y, axis[plane].expand_as(x)], dim=-1)[inside]
        if len(points):
            self.values[0, 0, plane][inside] = distance(points)


@torch.no_grad()
def sample_rays(
    rays: Rays, cache: DistanceCache, sharpness: float, settings: Render,
    generator: torch.Generator | None,
) -> Tensor:  # fmt: skip
    """Choose sample distances along rays.

    Args:
        sharpness: s of the field; the cache's cell limits what is used of it.
        generator: Jitters the samples; None = regular ones.

    Returns:
        [R, coarse + fine] ascending; from entering to leaving the unit ball.
    """
    near, far = sphere_span(rays.origins, rays.directions)
    along = _spread(near, far, _PROBES + 1, generator)
    for level in range(max(settings.num_sample_hierarchy, 1)):
        sharp = min(sharpness, 64.0 * 4**level)
        weights = _cached_weights(rays, cache, along, sharp)
        last = level == max(settings.num_sample_hierarchy, 1) - 1
        count = settings.num_samples.fine if last else _PROBES // 2
        chosen = draw(along, weights + _FLOOR, count, generator)
        if not last:
            along = torch.cat([along, chosen], dim=1).sort(dim=1).values
    everywhere = _spread(near, far, settings.num_samples.coarse, generator)
    return torch.cat([everywhere, chosen], dim=1).sort(dim=1).values


def draw(edges: Tensor, weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw distances from a piecewise constant density, stratified.

    Args:
        edges: [R, K] ascending.
        weights: [R, K-1] positive, need not sum to one.
        count: Samples a ray.

    Returns:
        [R, count] ascending.
    """
    total = weights.cumsum(1)
    share = nn.functional.pad(total / total[:, -1:], (1, 0))  # [R, K] from 0 to 1
    steps = torch.arange(count, device=edges.device).expand(len(edges), count)
    jitter = _jitter(steps, generator)
    wanted = (steps + jitter) / count
    above = torch.searchsorted(share, wanted, right=True).clamp(1, edges.shape[1] - 1)
    low, high = share.gather(1, above - 1), share.gather(1, above)
    start, end = edges.gather(1, above - 1), edges.gather(1, above)
    return start + (end - start) * ((wanted - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)


def _cached_weights(rays: Rays, cache: DistanceCache, along: Tensor, sharpness: float) -> Tensor:
    points = rays.origins[:, None] + along[..., None] * rays.directions[:, None]
    return composite_weights(section_opacity(cache(points), sharpness))[0]


def _spread(near: Tensor, far: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Even distances from near to far, both ends exact, those between jittered; [R, count]."""
    steps = torch.arange(count, device=near.device).expand(len(near), count)
    moved = (steps + _jitter(steps, generator) - 0.5) / (count - 1)
    moved[:, 0], moved[:, -1] = 0.0, 1.0
    return near[:, None] + (far - near)[:, None] * moved


def _jitter(like: Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return torch.full(like.shape, 0.5, device=like.device)
    return torch.rand(like.shape, device=like.device, generator=generator)
