"""All networks of a run together, and how a ray gets its colour from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maquette.recon.geometry.rays import Rays
from maquette.recon.surface.background import BackgroundField, inverse_radii
from maquette.recon.surface.draws import Draws, uniform
from maquette.recon.surface.field import ColorField, Probe, SdfField
from maquette.recon.surface.hash_grid import HashGrid
from maquette.recon.surface.rendering import (
    composite_weights,
    crossing,
    gather_sections,
    section_opacity,
)
from maquette.recon.surface.sampling import DistanceCache, sample_rays
from maquette.recon.surface.settings import Model as ModelSettings

_SHADED_WEIGHT = 1e-3  # places below this weight get no colour
_SHADED_SHARE = 0.05  # the same, relative to the heaviest place of the ray
_LOOKS = 2  # samples of the background's density for one of its colour
_PASSING = 1e-3  # rays that let less through see no background


@dataclass(frozen=True)
class Phase:
    """Where training stands: active encoding levels, least sharpness, freedom of the surface."""

    active: int
    sharpness_floor: float = 0.0
    freedom: float = 1.0  # share of the colours' gradient that may move the surface


@dataclass(frozen=True)
class Shaded:
    """The result of rendering a batch of rays.

    Attributes:
        rgb: [R, 3] 0..1.
        opacity: [R] what the surface inside the ball covers.
        ray: [M] int64, the ray of each shaded place.
        weight: [M] weights of the shaded places.
        along: [M] their distances along the ray.
        probe: The field there; [M] entries, followed by those of the extra points.
    """

    rgb: Tensor
    opacity: Tensor
    ray: Tensor
    weight: Tensor
    along: Tensor
    probe: Probe


class SurfaceModel(nn.Module):
    """Signed distance, colour, sharpness, appearance codes, background and sampling cache."""

    def __init__(
        self, settings: ModelSettings, images: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        embedding = settings.appear_embed.dim if settings.appear_embed.enabled else 0
        self.sdf = SdfField(settings.object.sdf, generator)
        hidden = settings.object.sdf.mlp.hidden_dim
        self.color = ColorField(settings.object.rgb, hidden, embedding, generator)
        self.variance = nn.Parameter(torch.tensor(settings.object.s_var.init_val))
        self.embedding = nn.Parameter(torch.zeros(images, embedding))
        enabled = settings.background.enabled and settings.render.num_samples.background > 0
        self.background = (
            BackgroundField(settings.background, embedding, generator) if enabled else None
        )
        self.cache = DistanceCache(settings.render.cache_resolution)
        self.fast = settings.kernels == "warp"
        for grid in (part for part in self.modules() if isinstance(part, HashGrid)):
            grid.fast = self.fast

    def sharpness(self, phase: Phase) -> Tensor:
        """S = exp(10 v), at least the phase's floor; NeuS section 3.1."""
        return torch.exp(10.0 * self.variance.clamp(min=phase.sharpness_floor, max=0.9))

    def codes(self, image: Tensor | None, count: int) -> Tensor:
        """Appearance codes [count, E]: of the images, or their mean for a new view."""
        if image is None:
            mean = self.embedding.mean(0, keepdim=True) if len(self.embedding) else self.embedding
            return mean.expand(count, -1)
        return self.embedding[image]

    def distance(self, points: Tensor, phase: Phase) -> Tensor:
        """Signed distance [N] at points [N, 3]."""
        return self.sdf(points, phase.active)[0]

    def shade(
        self, rays: Rays, image: Tensor | None, phase: Phase, draws: Draws | None,
        extra: Tensor | None = None,
    ) -> Shaded:  # fmt: skip
        """Render rays.

        Args:
            image: [R] int64 training image of each ray (its appearance code), or None.
            draws: Jitters samples while training; None = regular ones.
            extra: [E, 3] more points to differentiate the field at, in the same pass.
        """
        count = len(rays.origins)
        sharpness = self.sharpness(phase)
        sampling = self.settings.render
        along = sample_rays(
            rays, self.cache, float(sharpness.detach()), sampling, draws, self.fast
        )  # [R, K]
        points = rays.origins[:, None] + along[..., None] * rays.directions[:, None]
        distance = self.distance(points.flatten(0, 1), phase).view(along.shape)
        moving = distance.detach() + phase.freedom * (distance - distance.detach())
        weights, passing = composite_weights(section_opacity(moving, sharpness))
        codes = self.codes(image, count)
        look = crossing(distance.detach(), along)
        weight, places = gather_sections(weights, look, sampling.num_samples.shaded)  # [R, G]
        least = (_SHADED_SHARE * weight.amax(1, keepdim=True)).clamp(min=_SHADED_WEIGHT)
        shown = (weight > least).nonzero()  # [M, 2]
        ray, along_shown = shown[:, 0], places[shown[:, 0], shown[:, 1]]
        weight = weight[shown[:, 0], shown[:, 1]]
        kept = _kept_share(weights, ray, weight)
        probe, colors = self._surface_colors(rays, ray, along_shown, codes, phase, extra)
        rgb = weights.new_zeros(count, 3).index_add(0, ray, (weight * kept)[:, None] * colors)
        rgb = self._add_background(rgb, rays, codes, passing, draws)
        return Shaded(rgb, 1.0 - passing, ray, weight, along_shown, probe)

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

    def _add_background(
        self, rgb: Tensor, rays: Rays, codes: Tensor, passing: Tensor, draws: Draws | None
    ) -> Tensor:
        if self.background is None:
            return rgb
        samples = self.settings.render.num_samples.background
        noise = uniform(draws, len(rgb), (1 + _LOOKS) * samples, rgb.device)
        open_rays = (passing > _PASSING).nonzero()[:, 0]
        if not len(open_rays):
            return rgb
        origins, directions = rays.origins[open_rays], rays.directions[open_rays]
        where, looks = torch.split(noise[open_rays], [samples, _LOOKS * samples], dim=1)
        inverse = self.background.focus(origins, directions, inverse_radii(looks), where)
        seen = self.background(origins, directions, codes[open_rays], inverse)
        return rgb.index_add(0, open_rays, passing[open_rays, None] * seen)


def _kept_share(weights: Tensor, ray: Tensor, weight: Tensor) -> Tensor:
    """Factor [M] that makes up for the places too faint to be shaded; no gradient."""
    shown = weights.new_zeros(len(weights)).index_add(0, ray, weight.detach())
    return (weights.sum(1).detach() / shown.clamp(min=1e-6))[ray]
