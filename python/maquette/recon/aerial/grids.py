"""The grid of pixels that a map is, and the camera that sees it from straight above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.splats.cameras import Camera

Floats = NDArray[np.float64]
_BLOCK_PX = 1024
_LEAST_PX = 16


@dataclass(frozen=True)
class Grid:
    """Square pixels in rows from north to south.

    Attributes:
        west, north: Outer edges of the first pixel, in the map without its offset.
        size: Side of a pixel, in the map's unit.
    """

    west: float
    north: float
    size: float
    columns: int
    rows: int

    @classmethod
    def around(cls, low: Floats, high: Floats, size: float, most_px: int, offset: Floats) -> Grid:
        """The grid over low..high (x, y), with edges at whole multiples of the pixel's size.

        Args:
            most_px: The longer side at most; pixels are made larger for it.
            offset: Of the map, [3].
        """
        size = max(size, float((high - low).max()) / most_px, 1e-9)
        west, south = np.floor((low[:2] + offset[:2]) / size) * size - offset[:2]
        east, north = np.ceil((high[:2] + offset[:2]) / size) * size - offset[:2]
        columns, rows = round((east - west) / size), round((north - south) / size)
        return cls(float(west), float(north), size, max(columns, _LEAST_PX), max(rows, _LEAST_PX))

    def centers(self) -> tuple[Floats, Floats]:
        """X of each column and y of each row, at the pixels' middles."""
        x = self.west + (np.arange(self.columns) + 0.5) * self.size
        y = self.north - (np.arange(self.rows) + 0.5) * self.size
        return np.asarray(x), np.asarray(y)

    def places(self, heights: NDArray[np.floating]) -> Floats:
        """The places of the map [H, W, 3] at heights [H, W] of its pixels."""
        x, y = self.centers()
        return np.stack([*np.meshgrid(x, y), np.asarray(heights, np.float64)], axis=-1)

    def blocks(self) -> Iterator[tuple[slice, slice, Grid]]:
        """Rows, columns and grid of each part of a handy size."""
        for top in range(0, self.rows, _BLOCK_PX):
            for left in range(0, self.columns, _BLOCK_PX):
                rows = min(_BLOCK_PX, self.rows - top)
                columns = min(_BLOCK_PX, self.columns - left)
                part = replace(
                    self, west=self.west + left * self.size, north=self.north - top * self.size,
                    columns=columns, rows=rows,
                )  # fmt: skip
                yield slice(top, top + rows), slice(left, left + columns), part

    def camera(self, frame: MapFrame, top: float, device: torch.device) -> Camera:
        """The orthographic camera whose pixels these are; its depth is 0 at the height `top`."""
        axes, scales = frame.axes, frame.scales
        rotation = np.stack([axes[0], -axes[1], -axes[2]])  # x east, y south, z down
        width, height = self.columns * self.size, self.rows * self.size
        middle = np.array([self.west + width / 2, self.north - height / 2, top])
        translation = -rotation @ frame.world(middle)
        return Camera(
            torch.as_tensor(rotation.astype(np.float32), device=device),
            torch.as_tensor(translation.astype(np.float32), device=device),
            (float(scales[0]) / self.size, float(scales[1]) / self.size),
            (self.columns / 2, self.rows / 2),
            self.columns, self.rows, is_orthographic=True,
        )  # fmt: skip
