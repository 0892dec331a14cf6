"""Where to evaluate the field along rays, guided by a coarse cache of its values.

A dense grid of recent signed distances answers "where could the surface be" at a fraction of
the network's cost, so that the network is only asked near the surface and at a few points
elsewhere. No gradient flows through anything in this room.

`sample_reference` says in plain PyTorch what is computed; kernels/rays.py computes it fast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import Rays, sphere_span
from maquette.recon.surface.config import Render
from maquette.recon.surface.rendering import composite_weights, section_opacity
from maquette.recon.training.draws import Draws, uniform

_PROBES = 64
_ADDED = 32  # probes that each further pass adds
_FLOOR = 1e-4  # weight that every section gets, so that nothing is never looked at
_REFRESH_ITERATIONS = 40
_TOGETHER = 4  # iterations whose planes a GPU renews at once
_REACH = 1.1  # squared radius of what is renewed: rays only run inside the ball
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

        On the CPU values far from the surface are only renewed in every fourth round. A GPU
        renews all of several planes at once, as it would have to wait to learn which are far.
        """
        count = -(-self.resolution // _REFRESH_ITERATIONS)
        if self.values.is_cuda:
            if iteration % _TOGETHER == 0:
                self._renew_planes(iteration * count, _TOGETHER * count, distance)
            return
        for offset in range(count):
            turn = iteration * count + offset
            near = turn // self.resolution % 4 != 0
            self._renew(turn % self.resolution, distance, _NEAR if near else None)

    @torch.no_grad()
    def rebuild(self, distance: Callable[[Tensor], Tensor]) -> None:
        """Renew everything."""
        for plane in range(self.resolution):
            self._renew(plane, distance)

    def _renew_planes(self, first: int, count: int, distance: Callable[[Tensor], Tensor]) -> None:
        """Renew `count` planes from number `first` on, without waiting for the device."""
        axis = torch.linspace(-1, 1, self.resolution, device=self.values.device)
        planes = (first + torch.arange(count, device=axis.device)) % self.resolution
        z, y, x = torch.meshgrid(axis[planes], axis, axis, indexing="ij")
        points = torch.stack([x, y, z], dim=-1)  # [count, C, C, 3]
        inside = points.square().sum(-1) < _REACH
        values = self.values[0, 0]
        renewed = distance(points.flatten(0, 2)).view(inside.shape)
        values[planes] = torch.where(inside, renewed, values[planes])

    def _renew(
        self, plane: int, distance: Callable[[Tensor], Tensor], within: float | None = None
    ) -> None:
        axis = torch.linspace(-1, 1, self.resolution, device=self.values.device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        inside = x * x + y * y + axis[plane] ** 2 < _REACH
        if within is not None:
            inside &= self.values[0, 0, plane].abs() < within
        points = torch.stack([x, y, axis[plane].expand_as(x)], dim=-1)[inside]
        if len(points):
            self.values[0, 0, plane][inside] = distance(points)


@torch.no_grad()
def sample_rays(
    rays: Rays, cache: DistanceCache, sharpness: Tensor, config: Render,
    draws: Draws | None, fast: bool = True, chosen: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Choose sample distances along rays.

    Args:
        sharpness: s of the field, a scalar; the cache's cell limits what is used of it.
        draws: Jitters the samples; None = regular ones.
        fast: Compute with the kernel, not with the reference.
        chosen: [N] int64, the rays that are asked for; None = all. Random numbers are drawn for
            all, so that processes of a run stay in step.

    Returns:
        [N, coarse + fine] ascending; from entering to leaving the unit ball.
    """
    passes = max(config.num_sample_hierarchy, 1)
    levels = torch.stack([sharpness.clamp(max=64.0 * 4**level) for level in range(passes)])
    counts = [
        _PROBES + 1, (passes - 1) * _ADDED, config.num_samples.fine, config.num_samples.coarse
    ]  # fmt: skip
    drawn = uniform(draws, len(rays.origins), sum(counts), rays.origins.device)
    if chosen is not None:
        rays, drawn = rays.at(chosen), drawn[chosen]
    noise = torch.split(drawn, counts, dim=1)
    span = sphere_span(rays.origins, rays.directions)
    if not fast:
        return sample_reference(rays, cache, span, noise, levels)
    from maquette.recon.surface.kernels.rays import sample  # starts Warp: only when used

    probes, added, fine, coarse = (part.contiguous() for part in noise)
    return sample(
        rays.origins.contiguous(), rays.directions.contiguous(), span, cache.values[0, 0],
        (probes, added, fine, coarse), levels, _FLOOR,
    )  # fmt: skip


def sample_reference(
    rays: Rays, cache: DistanceCache, span: tuple[Tensor, Tensor], noise: tuple[Tensor, ...],
    sharpness: Tensor,
) -> Tensor:  # fmt: skip
    """What `sample_rays` computes, in plain PyTorch.

    Args:
        span: Distances [R] at which each ray enters and leaves.
        noise: Uniform numbers for probes [R, P], added probes [R, (passes - 1)·A],
            fine samples [R, F] and coarse samples [R, K].
        sharpness: [passes] float32.
    """
    probes, added, fine, coarse = noise
    along = _spread(span, probes)
    for level, sharp in enumerate(sharpness):
        last = level == len(sharpness) - 1
        fresh = fine if last else added[:, level * _ADDED : (level + 1) * _ADDED]
        chosen = draw(along, _cached_weights(rays, cache, along, sharp) + _FLOOR, fresh)
        if not last:
            along = torch.cat([along, chosen], dim=1).sort(dim=1).values
    return torch.cat([_spread(span, coarse), chosen], dim=1).sort(dim=1).values


def draw(edges: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
    """Draw distances from a piecewise constant density, stratified.

    Args:
        edges: [R, K] ascending.
        weights: [R, K-1] positive, need not sum to one.
        noise: [R, N] in 0..1, where in its stratum each of the N samples falls.

    Returns:
        [R, N] ascending.
    """
    count = noise.shape[1]
    total = weights.cumsum(1)
    share = nn.functional.pad(total / total[:, -1:], (1, 0))  # [R, K] from 0 to 1
    wanted = (torch.arange(count, device=edges.device) + noise) / count
    above = torch.searchsorted(share, wanted, right=True).clamp(1, edges.shape[1] - 1)
    low, high = share.gather(1, above - 1), share.gather(1, above)
    start, end = edges.gather(1, above - 1), edges.gather(1, above)
    return start + (end - start) * ((wanted - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)


def _cached_weights(rays: Rays, cache: DistanceCache, along: Tensor, sharpness: Tensor) -> Tensor:
    points = rays.origins[:, None] + along[..., None] * rays.directions[:, None]
    return composite_weights(section_opacity(cache(points), sharpness))[0]


def _spread(span: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """Even distances from near to far, both ends exact, those between jittered; [R, N]."""
    near, far = span
    steps = torch.arange(noise.shape[1], device=near.device)
    moved = (steps + noise - 0.5) / (noise.shape[1] - 1)
    moved[:, 0], moved[:, -1] = 0.0, 1.0
    return near[:, None] + (far - near)[:, None] * moved
