"""The photos that a mesh is compared with, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvs.stacks import GreyView
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
_PIXEL_BYTES = 5  # grey and depth


@dataclass(frozen=True)
class Pictures:
    """Grey pictures with their cameras.

    Attributes:
        frames: Cameras of the pictures' sizes.
        read: A picture with its camera and mask, by number; it may be asked for again.
    """

    frames: Sequence[Frame]
    read: Callable[[int], GreyView]

    @classmethod
    def of(cls, views: Sequence[GreyView]) -> Pictures:
        """Pictures that are in memory."""
        return cls([view.frame for view in views], lambda number: views[number])

    def reduced(self, factor: int) -> Pictures:
        """The same at 1/factor of their size."""
        frames = [_reduced(frame, factor) for frame in self.frames]
        return Pictures(frames, lambda number: self.read(number).reduced(factor))

    def around(self, origin: Floats) -> Pictures:
        """The same in a world whose origin lies at a point [3] of theirs."""
        frames = [_moved(frame, origin) for frame in self.frames]
        return Pictures(frames, lambda number: replace(self.read(number), frame=frames[number]))


def needed_for(part: Sequence[int], pairs: Sequence[Sequence[int]]) -> list[int]:
    """The views of a part that are compared, and their sources, in order."""
    return sorted({number for view in part if pairs[view] for number in (view, *pairs[view])})


def parts(
    frames: Sequence[Frame], pairs: Sequence[Sequence[int]], limit_bytes: int
) -> Iterator[list[int]]:
    """The views in parts that fit with their sources into a limit; of one view at least.

    Args:
        pairs: For each view its sources.
        limit_bytes: Of the pictures, and the mesh's depths in them, that a part needs.
    """
    part: list[int] = []
    for view in range(len(frames)):
        pixels = sum(
            frames[number].intrinsics.width * frames[number].intrinsics.height
            for number in needed_for([*part, view], pairs)
        )
        if part and pixels * _PIXEL_BYTES > limit_bytes:
            yield part
            part = []
        part.append(view)
    if part:
        yield part


def _reduced(frame: Frame, factor: int) -> Frame:
    lens = frame.intrinsics
    size = max(1, round(lens.width / factor)), max(1, round(lens.height / factor))
    return frame if factor == 1 else replace(frame, intrinsics=lens.scaled(*size))


def _moved(frame: Frame, origin: Floats) -> Frame:
    pose = frame.world_from_cam.copy()
    pose[:3, 3] -= origin
    return replace(frame, world_from_cam=pose)
