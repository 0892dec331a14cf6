"""Splats seen from straight above: the height of each pixel of a map, and its colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.median_depth import median_depth
from maquette.recon.splats.rasteriser import render

Image = NDArray[np.float32]
_ABOVE = 1.0  # how far over the highest centre the picture begins, of the scene's height


@dataclass(frozen=True)
class FromAbove:
    """What a map shows of splats.

    Attributes:
        heights: [H, W] of the surface, in the map without its offset; NaN where there is none.
        colors: [H, W, 3] sRGB 0..1; NaN there too.
    """

    heights: Image
    colors: Image


def seen_from_above(
    splats: Gaussians, frame: MapFrame, grid: Grid, ceiling: float = np.inf
) -> FromAbove:
    """Draw splats with parallel rays: the median depth by pixel, and what is seen there.

    Args:
        ceiling: Nothing that lies higher is drawn, such as a sky of splats; in the map without
            its offset.

    Source: our rasteriser with the Jacobian of a parallel projection, as for true ortho photos in
    arXiv 2411.19594 and 2503.19703; differs: heights are medians.
    """
    heights = np.full((grid.rows, grid.columns), np.nan, np.float32)
    colors = np.full((grid.rows, grid.columns, 3), np.nan, np.float32)
    up = frame.mapped(splats.means.numpy(force=True))[:, 2]
    is_below = up < ceiling
    if not is_below.any():
        return FromAbove(heights, colors)
    splats, up = splats.chosen(torch.from_numpy(is_below).to(splats.device)), up[is_below]
    top = float(up.max() + _ABOVE * max(float(np.ptp(up)), 1e-6))
    for rows, columns, part in grid.blocks():
        camera = part.camera(frame, top, splats.device)
        depth = median_depth(splats, camera).numpy(force=True)
        with torch.no_grad():
            drawn = render(splats, camera)
            shown = (drawn.color / (1 - drawn.passing).clamp_min(1e-6)).clamp(0, 1)
        is_there = depth > 0
        heights[rows, columns][is_there] = top - depth[is_there] * frame.scales[2]
        picture = shown.permute(1, 2, 0).numpy(force=True)
        colors[rows, columns][is_there] = picture[is_there]
    return FromAbove(heights, colors)
