"""All networks of a run together, and how a ray gets its colour from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import Rays, sphere_span
from maquette.recon.surface.background import BackgroundField
from maquette.recon.surface.config import Model as ModelConfig
from maquette.recon.surface.field import ColorField, Probe, SdfField
from maquette.recon.surface.hash_grid import HashGrid
from maquette.recon.surface.outside import Outside, even_shares
from maquette.recon.surface.rendering import (
    composite_weights,
    crossing,
    gather_sections,
    section_opacity,
)
from maquette.recon.surface.sampling import DistanceCache, sample_rays
from maquette.recon.training.draws import Draws, uniform

_SHADED_WEIGHT = 1e-3  # places below this weight get no colour
_SHADED_SHARE = 0.05  # the same, relative to the heaviest place of the ray
_LOOKS = 2  # samples of the background's density for one of its colour
_PASSING = 1e-3  # rays that let less through see no background


@dataclass(frozen=True)
class Phase:
    """Where training stands: active encoding levels, least sharpness, freedom of the surface."""

    active: int
    sharpness_floor: float | Tensor = 0.0
    freedom: float | Tensor = 1.0  # share of the colours' gradient that may move the surface


@dataclass(frozen=True)
class Shaded:
    """The result of rendering a batch of rays.

    Attributes:
        rgb: [R, 3] 0..1.
        opacity: [R] what the surface inside the ball covers.
        veil: [R] what lies before the ball and hides it; 0 for rays that miss it.
        ray: [M] int64, the ray of each shaded place.
        weight: [M] weights of the shaded places.
        along: [M] their distances along the ray.
        probe: The field there; [M] entries, followed by those of the extra points.
        counts: [M + E] which entries of `probe` count, or None: all.
    """

    rgb: Tensor
    opacity: Tensor
    veil: Tensor
    ray: Tensor
    weight: Tensor
    along: Tensor
    probe: Probe
    counts: Tensor | None = None


class SurfaceModel(nn.Module):
    """Signed distance, colour, sharpness, appearance codes, background and sampling cache."""

    def __init__(
        self, config: ModelConfig, images: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        embedding = config.appear_embed.dim if config.appear_embed.enabled else 0
        self.sdf = SdfField(config.object.sdf, generator)
        hidden = config.object.sdf.mlp.hidden_dim
        self.color = ColorField(config.object.rgb, hidden, embedding, generator)
        self.variance = nn.Parameter(torch.tensor(config.object.s_var.init_val))
        self.embedding = nn.Parameter(torch.zeros(images, embedding))
        enabled = config.background.enabled and config.render.num_samples.background > 0
        self.background = (
            BackgroundField(config.background, embedding, generator) if enabled else None
        )
        self.cache = DistanceCache(config.render.cache_resolution)
        self.fast = config.kernels == "warp"
        for grid in (part for part in self.modules() if isinstance(part, HashGrid)):
            grid.fast = self.fast

    def sharpness(self, phase: Phase) -> Tensor:
        """S = exp(10 v), at least the phase's floor; NeuS section 3.1."""
        floored = torch.clamp(self.variance, min=phase.sharpness_floor)
        return torch.exp(10.0 * floored.clamp(max=0.9))

    def codes(self, image: Tensor | None, count: int) -> Tensor:
        """Appearance codes [count, E]: of the images, or their mean for a new view."""
        if not self.embedding.shape[1]:
            return self.embedding.new_zeros(count, 0)
        if image is None:
            mean = self.embedding.mean(0, keepdim=True) if len(self.embedding) else self.embedding
            return mean.expand(count, -1)
        return self.embedding[image]

    def distance(self, points: Tensor, phase: Phase) -> Tensor:
        """Signed distance [N] at points [N, 3]."""
        return self.sdf(points, phase.active)[0]

    def shade(
        self, rays: Rays, image: Tensor | None, phase: Phase, draws: Draws | None,
        extra: Tensor | None = None, fixed: bool = False,
    ) -> Shaded:  # fmt: skip
        """Render rays.

        Args:
            image: [R] int64 training image of each ray (its appearance code), or None.
            draws: Jitters samples while training; None = regular ones.
            extra: [E, 3] more points to differentiate the field at, in the same pass.
            fixed: Shade all places, also those that hardly count, with weight 0: shapes are then
                fixed and nothing waits for the device.
        """
        sharpness = self.sharpness(phase)
        sampling = self.config.render
        near, far = sphere_span(rays.origins, rays.directions)
        asked = _asked(near < far, fixed)
        meets = (near < far)[asked]
        inner = rays.at(asked)
        along = sample_rays(
            rays, self.cache, sharpness.detach(), sampling, draws, self.fast, asked
        )  # [A, K]
        points = inner.origins[:, None] + along[..., None] * inner.directions[:, None]
        distance = self.distance(points.flatten(0, 1), phase).view(along.shape)
        moving = distance.detach() + phase.freedom * (distance - distance.detach())
        weights, through = composite_weights(
            torch.where(meets[:, None], section_opacity(moving, sharpness), 0.0)
        )
        codes = self.codes(image, len(rays.origins))
        look = crossing(distance.detach(), along)
        weight, where = gather_sections(weights, look, sampling.num_samples.shaded)  # [A, G]
        ray, along_shown, weight, shown = _shown(weight, where, fixed)
        kept = _kept_share(weights, ray, weight)
        ray = asked[ray]
        probe, colors = self._surface_colors(rays, ray, along_shown, codes, phase, extra)
        passing = weights.new_ones(len(rays.origins)).index_put((asked,), through)
        rgb = weights.new_zeros(len(passing), 3)
        rgb = rgb.index_add(0, ray, (weight * kept)[:, None] * colors)
        rgb, veil = self._add_outside(rgb, rays, codes, passing, draws, fixed)
        counts = None
        if shown is not None:
            counts = nn.functional.pad(shown, (0, len(probe.distance) - len(shown)), value=True)
        return Shaded(rgb, 1.0 - passing, veil, ray, weight, along_shown, probe, counts)

    def _surface_colors(
        self, rays: Rays, ray: Tensor, along: Tensor, codes: Tensor, phase: Phase,
        extra: Tensor | None,
    ) -> tuple[Probe, Tensor]:  # fmt: skip
        views, shown = rays.directions[ray], len(ray)
        points = rays.origins[ray] + along[:, None] * views
        asked = points if extra is None else torch.cat([points, extra])
        probe = self.sdf.probe(asked, phase.active)
        colors = self.color(
            points, probe.normals[:shown], views, probe.features[:shown], codes[ray]
        )
        return probe, colors

    def _add_outside(
        self, rgb: Tensor, rays: Rays, codes: Tensor, passing: Tensor, draws: Draws | None,
        every_ray: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Add what is seen before and behind the surface.

        Args:
            rgb: [R, 3] of the surface alone.
            passing: [R] what it lets through.
            every_ray: Look also where nothing of the outside can be seen.

        Returns:
            rgb [R, 3], and `Shaded.veil` [R].
        """
        if self.background is None:
            return rgb, torch.zeros_like(passing)
        samples = self.config.render.num_samples.background
        noise = uniform(draws, len(rgb), (1 + _LOOKS) * samples, rgb.device)
        outside = Outside.of(rays.origins, rays.directions)
        asked = _asked((passing > _PASSING) | (outside.before[:, 0] > 0), every_ray)
        rays, outside = rays.at(asked), outside.at(asked)
        where, looks = torch.split(noise[asked], [samples, _LOOKS * samples], dim=1)
        shares = self.background.focus(rays, outside, even_shares(looks), where)
        seen = self.background(rays, outside, codes[asked], shares)
        let = passing[asked]
        added = seen.before + torch.where(let > _PASSING, let, 0.0)[:, None] * seen.behind
        veil = torch.zeros_like(passing).index_put((asked,), seen.veil)
        rgb = ((1.0 - veil)[:, None] * rgb).index_add(0, asked, added)
        meets = torch.where(outside.gap[:, 0] > 0, seen.veil, 0.0)
        return rgb, torch.zeros_like(passing).index_put((asked,), meets)


def _asked(wanted: Tensor, every_ray: bool) -> Tensor:
    """Which rays [N] int64 to ask: the wanted of [R] bool, one at least; or all of them."""
    if every_ray:
        return torch.arange(len(wanted), device=wanted.device)
    found = wanted.nonzero()[:, 0]
    return found if len(found) else found.new_zeros(1)


def _shown(
    weight: Tensor, where: Tensor, fixed: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The places worth a colour.

    Args:
        weight, where: [R, G] weights and ray distances.
        fixed: Return all of them; those that are not worth it have weight 0.

    Returns:
        ray [M] int64, distance [M], weight [M], and which are worth it (None: all).
    """
    least = (_SHADED_SHARE * weight.amax(1, keepdim=True)).clamp(min=_SHADED_WEIGHT)
    visible = weight > least
    if not fixed:
        ray, group = visible.nonzero().unbind(1)
        return ray, where[ray, group], weight[ray, group], None
    rays, groups = weight.shape
    ray = torch.arange(rays, device=weight.device)[:, None].expand(rays, groups).flatten()
    return ray, where.flatten(), torch.where(visible, weight, 0.0).flatten(), visible.flatten()


def _kept_share(weights: Tensor, ray: Tensor, weight: Tensor) -> Tensor:
    """Factor [M] that makes up for the places too faint to be shaded; no gradient."""
    shown = weights.new_zeros(len(weights)).index_add(0, ray, weight.detach())
    return (weights.sum(1).detach() / shown.clamp(min=1e-6))[ray]
