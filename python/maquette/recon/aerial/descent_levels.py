"""The levels of a descent, one after the other: views, training, verdict and a picture of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from maquette.recon.aerial.descent import DescentOptions, Level, descend, judged
from maquette.recon.aerial.descent_targets import Target, targets_of
from maquette.recon.aerial.descent_views import Levels, views_of
from maquette.recon.aerial.elevation import tidied, without_pits
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.aerial.mapping import PIT_SHARE, ceiling_over, extent_of
from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.aerial.seen_from_above import seen_from_above
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.judging import HeldOut, measure
from maquette.recon.splats.pictures import Picture, Pictures
from maquette.recon.splats.rasteriser import render
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

Told = Callable[[str, int, int], None]
_MAP_PX = 512  # of the heights over which views stand
_SHOWN, _TILE_PX, _GAP_PX, _LABEL_PX = 3, 160, 4, 16


@dataclass(frozen=True)
class Flight:
    """The photos of a flight.

    Attributes:
        long_side: Larger photos are reduced to this, pixels.
    """

    scene: Scene
    frames: Sequence[Frame]
    frame: MapFrame
    long_side: int
    device: torch.device


@dataclass(frozen=True)
class Made:
    """What came of a descent: the splats, what each level told, and views before and after."""

    splats: Gaussians
    levels: Sequence[Level]
    sheet: Image.Image


class Descent:
    """A descent over the map of a flight.

    Args:
        sky: sRGB behind all, 0..1.
    """

    def __init__(
        self, flight: Flight, levels: Levels, options: DescentOptions, sky: Sequence[float]
    ) -> None:
        self._flight, self._levels, self._options = flight, levels, options
        train, judges = split(flight.frames)
        side, device = flight.long_side, flight.device
        self._views = Views(flight.scene, train, side)
        self._pictures = Pictures(flight.scene, train, device, side)
        self._judges = HeldOut(flight.scene, judges or train[:1], device, side)
        self._sky = torch.tensor(list(sky), device=device)
        centers = np.stack([frame.world_from_cam[:3, 3] for frame in train])
        away = np.linalg.norm(centers - centers.mean(axis=0), axis=1)
        self._extent = 1.1 * float(away.max()) or 1.0

    def run(self, splats: Gaussians, told: Told) -> Made:
        """Go down level by level; each goes on from the last one that was kept."""
        found, rows = list[Level](), list[list[Image.Image]]()
        count, before = len(self._levels.altitudes), self._psnr(splats)
        for number in range(count):
            targets = self._targets(splats, number)
            added = self._options.added(number, count)
            tried = splats
            if targets:
                tried = descend(
                    splats, targets, self._pictures, self._extent, self._options, added, self._sky,
                    partial(told, f"level {number + 1} of {count}"),
                )  # fmt: skip
            after = self._psnr(tried)
            real = [float(target.is_real.float().mean()) for target in targets]
            level = judged(
                Level(len(targets), float(np.mean(real or [0])), before - after, False, len(tried)),
                self._options,
            )
            rows.append(self._row(splats, tried, targets))
            found.append(level)
            if level.is_kept:
                splats, before = tried, after
        return Made(splats, found, _sheet(rows, self._levels.altitudes, found))

    def _targets(self, splats: Gaussians, number: int) -> list[Target]:
        frame = self._flight.frame
        low, high, flying_height = extent_of(splats, self._views.frames, frame)
        size = float((high - low)[:2].max()) / _MAP_PX
        grid = Grid.around(low, high, size, _MAP_PX, frame.offset)
        ceiling = ceiling_over(self._views.frames, frame)
        heights = tidied(seen_from_above(splats, frame, grid, ceiling).heights)
        heights = without_pits(heights, PIT_SHARE * flying_height)
        views = views_of(self._levels, number, heights, grid, frame, flying_height)
        photos = Photos.over(
            splats, self._views.frames, self._views.image, frame.axes[2], self._views.mask
        )
        return targets_of(splats, views, photos)

    def _psnr(self, splats: Gaussians) -> float:
        return measure(splats, self._judges, self._shown)["psnr"]

    def _shown(self, splats: Gaussians, picture: Picture) -> Tensor:
        drawn = render(splats, picture.camera)
        return (drawn.color + drawn.passing * self._sky[:, None, None]).clamp(0, 1)

    @torch.no_grad()
    def _row(
        self, before: Gaussians, after: Gaussians, targets: Sequence[Target]
    ) -> list[Image.Image]:
        """Some views: what they were to show, then before and after the level."""
        tiles = []
        for number in np.linspace(0, len(targets) - 1, min(_SHOWN, len(targets))).round():
            target = targets[int(number)]
            drawn = [render(splats, target.camera).color for splats in (before, after)]
            tiles += [_tile(color) for color in (target.color, *drawn)]
        return tiles


def _tile(color: Tensor) -> Image.Image:
    pixels = (color.clamp(0, 1).permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy(force=True)
    return Image.fromarray(pixels).resize((_TILE_PX, _TILE_PX), Image.Resampling.BOX)


def _sheet(
    rows: Sequence[Sequence[Image.Image]], altitudes: Sequence[float], levels: Sequence[Level]
) -> Image.Image:
    """One row a level, three tiles a view."""
    pitch = _TILE_PX + _GAP_PX
    columns = max((len(row) for row in rows), default=0) or 1
    height = _TILE_PX + _LABEL_PX + _GAP_PX
    sheet = Image.new("RGB", (columns * pitch + _GAP_PX, len(rows) * height + _GAP_PX), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for number, (row, share, level) in enumerate(zip(rows, altitudes, levels, strict=True)):
        top = _GAP_PX + number * height
        for column, tile in enumerate(row):
            sheet.paste(tile, (_GAP_PX + column * pitch, top))
        told = (
            f"{share:g} of the height: photos warped, before, after; held-out photos "
            f"{-level.lost_db:+.2f} dB, {'kept' if level.is_kept else 'not kept'}"
        )
        pen.text((_GAP_PX, top + _TILE_PX + 1), told, (90, 90, 90), font)
    return sheet
