"""What the texturing of a mesh may be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Told = Callable[[str, int, int], None]
PIXELS_KEPT_BYTES = 1 << 29  # of photographs in memory: each is read once a strip of a page
UNSEEN = -1  # the view of a face that no photograph shows


def tell_nobody(part: str, done: int, total: int) -> None:
    """Progress that nobody reads."""


@dataclass(frozen=True)
class TexturingOptions:
    """How a mesh is textured.

    Attributes:
        size: Longest side of a page of the atlas, texels.
        pages: At most so many pages; what does not fit is scaled down.
        dilation: Texels that colours reach beyond the charts.
        compensate: Equal out the exposures of the photographs.
        drop_outliers: Leave out views of a face that disagree in colour with most others.
        level: Spread colour steps at seams over the charts, where one view makes a face.
        blend: Fade from one photograph into the next over a few texels.
        mixed_views: Views whose mean is the coarser band of a face; 1: one view makes all of it.
        sigma_px: Pixels of a Gaussian: what is finer comes from one view.
    """

    size: int = 8192
    pages: int = 4
    dilation: int = 15
    compensate: bool = True
    drop_outliers: bool = True
    level: bool = True
    blend: bool = True
    mixed_views: int = 10
    sigma_px: float = 1.0


def told_by(values: Mapping[str, Any]) -> TexturingOptions:
    """Options from what a person may say, by the settings' names in small letters."""
    return TexturingOptions(
        size=values["texture_size"],
        pages=values["texture_pages"],
        dilation=values["texture_dilation"],
        drop_outliers=values["texture_outliers"] == "drop",
    )
