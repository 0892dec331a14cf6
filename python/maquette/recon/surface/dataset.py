"""Seeded batches of pixels from all training photographs, with their rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from maquette.recon.geometry.rays import Cameras, Rays
from maquette.recon.surface.pixels import AllPixels, Pixels
from maquette.recon.surface.sky_in_photos import SkyInPhotos
from maquette.recon.surface.working_set import WorkingSet
from maquette.recon.training.draws import Draws
from maquette.recon.views.memory import cache_bytes
from maquette.recon.views.views import Views
from maquette.scene.region import Region

_WELL_OUTSIDE = 1.5  # radii; an orbit that is the region's own sphere is not


@dataclass(frozen=True)
class Batch:
    """Rays with what was photographed along them.

    Attributes:
        colors: [R, 3] 0..1.
        image: [R] int64.
        is_sky: [R] bool, or None where that is not known.
    """

    rays: Rays
    colors: Tensor
    image: Tensor
    is_sky: Tensor | None = None


class PixelSource(Protocol):
    """Where a batch's pixels come from."""

    @property
    def held_bytes(self) -> int:
        """Memory that pixels take, at most."""

    def draw(self, count: int, draws: Draws) -> Pixels:
        """Draw pixels, all equally likely, with replacement."""

    def advance(self, iteration: int, total: int) -> None:
        """Hold the pixels for the iteration after so many of a run of `total`."""

    def state(self) -> dict[str, Any] | None:
        """What decides which pixels are held; None when all are."""


class PixelDataset:
    """All training pixels, drawn with replacement.

    When they do not fit into the memory that they may take, a part of the photographs is held
    at a time; see `WorkingSet`.

    Args:
        views: The training views.
        limit_bytes: Memory for pixels on the device; 0 = a share of what it has.
        seed: Decides the order in which photographs are held.
        state: `state()` of the dataset that is to be continued; counts when it is of as many views.
        sky: Which pixels of the views show sky.

    Raises:
        BadInput: a file is no readable image, all show the same, or the masks exclude all pixels.
    """

    def __init__(
        self, views: Views, region: Region, device: torch.device, limit_bytes: int = 0,
        seed: int = 0, state: dict[str, Any] | None = None, sky: SkyInPhotos | None = None,
    ) -> None:  # fmt: skip
        self.frames, self._sky = views.frames, sky
        self.cameras = Cameras.of(views.frames, region, device)
        away = self.cameras.centers.norm(dim=1)
        self._from_outside = float(away.median()) > _WELL_OUTSIDE
        limit = limit_bytes or cache_bytes(device)
        if state is not None and len(state["order"]) != len(views):
            state = None
        self.source: PixelSource
        if state is None and AllPixels.needed_bytes(views) <= limit:
            self.source = AllPixels(views, device)
        else:
            self.source = WorkingSet(views, device, limit, seed, state)

    def __len__(self) -> int:
        return len(self.frames)

    def advance(self, iteration: int, total: int) -> None:
        """Make ready for the iteration after so many of a run of `total`."""
        self.source.advance(iteration, total)

    def state(self) -> dict[str, Any] | None:
        """What a resumed run needs to draw the same pixels."""
        return self.source.state()

    def draw(self, count: int, draws: Draws, focus: float = 0.0) -> Batch:
        """Draw `count` pixels of all photographs that are held.

        Args:
            focus: Twice as many are drawn, and those whose rays pass the unit ball's centre
                within this distance are preferred, or, where cameras stand well outside the
                ball, those that meet it; 0 = all pixels equally likely.
        """
        pixels = self.source.draw(2 * count if focus > 0 else count, draws)
        rays = self.cameras.rays(pixels.image, pixels.position)
        sky = None if self._sky is None else self._sky.shown_at(pixels.image, pixels.position)
        if focus <= 0:
            return Batch(rays, pixels.colors, pixels.image, sky)
        along = -(rays.origins * rays.directions).sum(1, keepdim=True)
        nearest = (rays.origins + along * rays.directions).norm(dim=1)
        limit = 1.0 if self._from_outside else focus
        central = (nearest < limit) & (along[:, 0] > 0)
        kept = torch.argsort(~central, stable=True)[:count]
        sky = None if sky is None else sky[kept]
        return Batch(rays.at(kept), pixels.colors[kept], pixels.image[kept], sky)
