"""The cameras of a descent: level by level nearer to the ground, all straight down.

Notation: h is the flying height, a level's share of it its altitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """How a descent goes.

    Attributes:
        altitudes: Shares of the flying height, from high to low.
        widest_deg, narrowest_deg: Field of view of the first level and of the last.
        overlap: Share of a view that its neighbour shows too.
        inset: Share of the map at each side that no view stands over.
        most_views: Of a level; evenly chosen where there would be more.
        side_px: Of their square pictures.
    """

    altitudes: Sequence[float] = (1.0, 0.5, 0.25, 0.12, 0.05)
    widest_deg: float = 75.0
    narrowest_deg: float = 35.0
    overlap: float = 0.3
    inset: float = 0.1
    most_views: int = 64
    side_px: int = 320

    def field_of_view_deg(self, level: int) -> float:
        """Of the cameras of a level: narrower the lower they are."""
        share = level / max(1, len(self.altitudes) - 1)
        return self.widest_deg + share * (self.narrowest_deg - self.widest_deg)


def views_of(
    levels: Levels, level: int, heights: NDArray[np.float32], grid: Grid, frame: MapFrame,
    flying_height: float,
) -> list[Frame]:  # fmt: skip
    """The cameras of a level, in a lattice over the map, world frame.

    Args:
        heights: [H, W] of the map's surface; no camera stands over what has none.
    """
    above = levels.altitudes[level] * flying_height
    half = np.radians(levels.field_of_view_deg(level)) / 2
    step = 2 * above * np.tan(half) * (1 - levels.overlap)
    width, depth = grid.columns * grid.size, grid.rows * grid.size
    found: list[Floats] = []
    for y in _lattice(levels.inset * depth, (1 - levels.inset) * depth, step):
        for x in _lattice(levels.inset * width, (1 - levels.inset) * width, step):
            row, column = int(y / grid.size), int(x / grid.size)
            below = heights[min(row, grid.rows - 1), min(column, grid.columns - 1)]
            if np.isfinite(below):
                found.append(np.array([grid.west + x, grid.north - y, below + above]))
    chosen = np.linspace(0, len(found) - 1, min(len(found), levels.most_views)).round().astype(int)
    side = levels.side_px
    focal = float(side / 2 / np.tan(half))
    lens = Intrinsics(side, side, focal, focal, side / 2, side / 2)
    axes = frame.axes
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([axes[0], -axes[1], -axes[2]])
    frames = []
    for number, place in enumerate(found[index] for index in chosen):
        standing = pose.copy()
        standing[:3, 3] = frame.world(place)
        frames.append(Frame(f"descent/{level + 1}_{number:03d}", standing, lens))
    return frames


def _lattice(low: float, high: float, step: float) -> Floats:
    """Places with equal gaps of at most `step` between two ends; the middle where one is enough."""
    count = max(1, int(np.ceil((high - low) / step)))
    return np.asarray(low + (np.arange(count) + 0.5) * (high - low) / count)
