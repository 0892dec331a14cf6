"""Options of drone photos from above: those of splats, and those of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import option
from maquette.pipelines.splat.options import ExtractOptions as SplatExtractOptions
from maquette.pipelines.splat.options import ProcessOptions as SplatProcessOptions

Ortho = Literal["photos", "splats"]


@dataclass(frozen=True)
class ProcessOptions(SplatProcessOptions):
    """Options of `process`."""


@dataclass(frozen=True)
class ExtractOptions(SplatExtractOptions):
    """Options of `extract`."""

    ortho: Ortho = option(
        "photos", "what the ortho photo shows: photos laid on the surface, or the splats"
    )
    gsd: float = option(
        0.0, "side of a pixel of the maps, metres (units where no scale is known); 0: the photos'",
        low=0.0,
    )  # fmt: skip
    map_size: int = option(4096, "longer side of the maps at most", low=64, high=32768, unit="px")
    map_views: int = option(3, "photos that must show a place of the maps", low=1, high=16)
    contour_interval: float = option(
        0.0, "height between contours, in the unit of GSD; 0: a round one", low=0.0
    )
