"""Depth maps in the frame of a region, read when they are needed.

Frame: unit space, in which the region's sphere is the unit ball.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.blocks import Block, Grid
from maquette.recon.mesh.integration import DepthView, Floats
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

ReadMaps = Callable[[int], tuple[Floats, Floats]]
_CACHE_BYTES = 256 << 20
_ROWS_AT_ONCE = 1 << 19
_ASKED, _EVERY = 24, 50  # views, and pixels of them, that tell how large a pixel is


@dataclass
class DepthMaps:
    """Depth maps in unit space, read when they are needed.

    Attributes:
        frames: Cameras of the maps' sizes, in unit space.
        read: Depth [H, W] in world units and normals [H, W, 3] in the camera's frame, by view.
        scale: World units to unit space.
    """

    frames: Sequence[Frame]
    read: ReadMaps
    scale: float
    cache_bytes: int = _CACHE_BYTES
    _held: OrderedDict[int, DepthView] = field(default_factory=OrderedDict)

    @classmethod
    def of(
        cls, frames: Sequence[Frame], read: ReadMaps, region: Region,
        cache_bytes: int = _CACHE_BYTES,
    ) -> DepthMaps:  # fmt: skip
        """Maps of a scene; see `read`.

        Args:
            frames: In the world.
        """
        inside = [_in_unit(frame, region) for frame in frames]
        return cls(inside, read, 1 / region.radius, cache_bytes)

    def view(self, number: int) -> DepthView:
        """One map; the last used ones are at hand."""
        found = self._held.pop(number, None)
        if found is None:
            depth, normals = self.read(number)
            found = DepthView.of(self.frames[number], depth * self.scale, normals)
        self._held[number] = found
        while len(self._held) > 1 and sum(map(_size, self._held.values())) > self.cache_bytes:
            self._held.popitem(last=False)
        return found

    def points(self, number: int) -> Iterator[NDArray[np.float64]]:
        """The points [N, 3] of one map, in unit space, in chunks of bounded memory."""
        view, pose = self.view(number), self.frames[number].world_from_cam
        rows, columns = np.nonzero(view.depth > 0)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            row, column = rows[part], columns[part]
            fl_x, fl_y, cx, cy = view.lens
            local = [(column + 0.5 - cx) / fl_x, (row + 0.5 - cy) / fl_y, np.ones(len(row))]
            points = (view.depth[row, column] * np.stack(local)).T
            yield points @ pose[:3, :3].T + pose[:3, 3]

    def footprint(self, region: Region) -> float:
        """The median width of a pixel where it meets the region, unit space; 0: none does."""
        step = max(1, len(self.frames) // _ASKED)
        found = [np.zeros(0)]
        for number in range(0, len(self.frames), step):
            view, pose = self.view(number), self.frames[number].world_from_cam
            for points in self.points(number):
                points = points[::_EVERY]
                inside = points[region.contains(region.world_from_unit(points))]
                found.append((inside - pose[:3, 3]) @ pose[:3, 2] / view.lens[0])
        widths = np.concatenate(found)
        return float(np.median(widths)) if len(widths) else 0.0


def views_of(block: Block, grid: Grid, frames: Sequence[Frame]) -> list[int]:
    """The cameras in whose picture some of a block may be: by the rectangle about its corners."""
    ends = np.stack([grid.position(block.start),
                     grid.position(np.add(block.start, block.cells))])  # fmt: skip
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), -1).reshape(-1, 3)
    found = []
    for number, frame in enumerate(frames):
        lens, pose = frame.intrinsics, frame.world_from_cam
        x, y, z = ((corners - pose[:3, 3]) @ pose[:3, :3]).T
        if (z <= 0).all():
            continue
        if (z > 0).all():
            u, v = lens.fl_x * x / z + lens.cx, lens.fl_y * y / z + lens.cy
            if u.max() < 0 or v.max() < 0 or u.min() > lens.width or v.min() > lens.height:
                continue
        found.append(number)
    return found


def _in_unit(frame: Frame, region: Region) -> Frame:
    pose = frame.world_from_cam.copy()
    pose[:3, 3] = region.unit_from_world(pose[:3, 3])
    return replace(frame, world_from_cam=pose)


def _size(view: DepthView) -> int:
    return view.depth.nbytes + view.normals.nbytes
