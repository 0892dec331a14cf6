"""Options of drone photos from above: those of splats, and those of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import option
from maquette.pipelines.splat.options import Background
from maquette.pipelines.splat.options import ExtractOptions as SplatExtractOptions
from maquette.pipelines.splat.options import ProcessOptions as SplatProcessOptions

Ortho = Literal["photos", "splats"]


@dataclass(frozen=True)
class ProcessOptions(SplatProcessOptions):
    """Options of `process`."""

    background: Background = option(
        "ground",
        "what lies behind all; ground: the plane below, all that photos from above can see, "
        "shell: far splats, sky: one colour that is learned",
    )
    descent: bool = option(
        False, "1: train on with views ever nearer to the ground, of photos warped onto it"
    )
    descent_altitudes: str = option(
        "1,0.5,0.25,0.12,0.05", "heights of its levels, in shares of the flying height",
        pattern=r"[0-9.]+(,[0-9.]+){0,11}",
    )  # fmt: skip
    descent_iterations: int = option(2000, "of each level, a view or a photo each", low=1)
    descent_views: int = option(64, "views of a level at most", low=1, high=1024)
    descent_size: int = option(320, "side of their square pictures", low=32, high=2048, unit="px")
    descent_fov: str = option(
        "75 35", "field of view of the first level and of the last, degrees",
        pattern=r"[0-9]+ [0-9]+",
    )  # fmt: skip
    descent_overlap: float = option(
        0.3, "share of a view that its neighbour shows too", low=0.0, high=0.9
    )
    descent_inset: float = option(
        0.1, "share of the map at each side over which no view stands", low=0.0, high=0.45
    )
    descent_densify: str = option(
        "2 0.75", "splats that the first level may add and the last, in shares of those it sees",
        pattern=r"[0-9.]+ [0-9.]+",
    )  # fmt: skip
    descent_min_opacity: float = option(0.05, "fainter splats go between levels", low=0.0, high=1.0)
    descent_max_elongation: float = option(
        15.0, "splats whose longest axis is so many times the second go there; 0: none", low=0.0
    )
    descent_largest: float = option(
        0.05, "share of the largest splats that goes there", low=0.0, high=0.9
    )


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
