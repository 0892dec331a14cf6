"""Options of texturing, for the pipelines whose extract does it and for `maquette texture`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import option

Outliers = Literal["drop", "keep"]


@dataclass(frozen=True)
class TextureOptions:
    """How a mesh gets its texture."""

    texture_size: int = option(
        8192, "longest side of a page of the texture", low=64, high=16384, unit="px"
    )
    texture_pages: int = option(4, "pages at most; what is too much is scaled down", low=1, high=64)
    texture_dilation: int = option(
        15, "texels that colours reach beyond the charts", low=0, high=64, unit="px"
    )
    texture_outliers: Outliers = option(
        "drop", "photos in which people or cars hide a place; keep: use them all the same"
    )
