"""What all photos together say of each vertex of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from maquette.recon.mesh_refinement.agreement import MARGIN, Reference, Sources, Window, evaluate
from maquette.recon.mesh_refinement.visible_faces import planes_and_weights, see
from maquette.recon.mvs.stacks import GreyView
from maquette.scene.transforms import Frame

Result = TypeVar("Result")
_LANES = 16  # a reference's width is a multiple of it


@dataclass(frozen=True)
class Pull:
    """What the photos say of each vertex: means over the pixels and pairs of views that see it.

    Attributes:
        slope, curvature: [V] float64, of the energy with a move outwards, in pixels.
        weight: [V] float64, how many pixels of how many pairs that rests on.
        pixel: [V] float64, a pixel's size there, world units; 0 where no view sees it.
        misfit: [V] float64, mean energy around each vertex, from 0 to 1/3; 0 where none is known.
        energy: Its mean over all that is compared; NaN when nothing is.
    """

    slope: NDArray[np.float64]
    curvature: NDArray[np.float64]
    weight: NDArray[np.float64]
    pixel: NDArray[np.float64]
    misfit: NDArray[np.float64]
    energy: float


class Photos:
    """Pictures of one size level in the form that the data term reads.

    Args:
        views: Grey pictures with cameras and masks.
        pairs: For each view its sources' numbers; a view with none is compared with no other.
    """

    def __init__(
        self, views: Sequence[GreyView], pairs: Sequence[Sequence[int]], device: torch.device
    ) -> None:
        self.device = device
        self.frames = [view.frame for view in views]
        self._masks = [None if view.mask is None else torch.from_numpy(view.mask).to(device)
                       for view in views]  # fmt: skip
        sizes = [view.image.size for view in views]
        starts = np.cumsum([0, *sizes])
        shapes = [(int(starts[n]), *view.image.shape[::-1]) for n, view in enumerate(views)]
        greys = torch.from_numpy(np.concatenate([view.image.ravel() for view in views]))
        self._layout = torch.tensor(shapes, dtype=torch.int64, device=device)
        self._greys = greys.to(device)
        self._depths = torch.zeros(int(starts[-1]), device=device)
        self._parts = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        self._sources = [self._of(number, chosen) for number, chosen in enumerate(pairs)]

    def pull(
        self, vertices: Tensor, faces: Tensor, window: Window,
        told: Callable[[int, int], None] = lambda done, total: None,
    ) -> Pull:  # fmt: skip
        """Compare all pairs through a mesh.

        Args:
            vertices: [V, 3] float32, world.
            faces: [F, 3] int32.
            told: Called with (views done, views in all).
        """

        def look(number: int) -> None:
            depth = see(vertices, faces, self.frames[number]).depth
            mask = self._masks[number]
            self._depths[self._parts[number]] = (depth if mask is None else depth * mask).view(-1)

        def compare(number: int) -> Tensor | None:
            return self._of_view(number, vertices, faces, window)

        total = torch.zeros(6, len(vertices), dtype=torch.float64, device=faces.device)
        for _ in in_threads(look, len(self.frames), faces.device):
            pass
        for number, part in enumerate(in_threads(compare, len(self.frames), faces.device)):
            if part is not None:
                total += part
            told(number + 1, len(self.frames))
        return _pull(total.cpu().numpy())

    def _of(self, number: int, chosen: Sequence[int]) -> Sources | None:
        if not chosen:
            return None
        device = self._greys.device
        cameras = np.stack([_camera(self.frames[number], self.frames[other]) for other in chosen])
        return Sources(
            self._greys, self._depths, self._layout,
            torch.tensor(chosen, dtype=torch.int32, device=device),
            torch.tensor(cameras, dtype=torch.float32, device=device),
        )  # fmt: skip

    def _of_view(
        self, number: int, vertices: Tensor, faces: Tensor, window: Window
    ) -> Tensor | None:
        """Sums over one view's pixels, [6, V] float64; None where it sees nothing.

        They are energy, τ, slope, curvature, weight, and the pixel's size times the weight.
        """
        sources, frame = self._sources[number], self.frames[number]
        if sources is None:
            return None
        seen = see(vertices, faces, frame)
        used = seen.face >= 0
        mask = self._masks[number]
        pixels = torch.nonzero((used if mask is None else used & mask).view(-1))[:, 0]
        if not len(pixels):
            return None
        planes, shares = planes_and_weights(seen, faces, frame, pixels)
        box = _Box.around(pixels, frame.intrinsics.width)
        part = slice(self._parts[number].start, self._parts[number].stop)
        picture = self._greys[part].view(seen.face.shape)
        lens = frame.intrinsics
        reference = Reference(
            box.cut(picture.float()), box.scattered(pixels, planes, lens.width), box.left,
            box.top, (lens.fl_x, lens.fl_y, lens.cx, lens.cy),
        )  # fmt: skip
        values = evaluate(reference, sources, window).view(5, -1)[:, box.places(pixels, lens.width)]
        size = seen.depth.view(-1)[pixels] / lens.fl_x * values[4]
        corners = faces[seen.face.view(-1)[pixels]].long().view(-1)
        total = torch.zeros(6, len(vertices), dtype=torch.float64, device=faces.device)
        for row, value in zip(total, [*values, size], strict=True):
            row.index_add_(0, corners, (shares * value[:, None]).view(-1).double())
        return total


def in_threads(work: Callable[[int], Result], count: int, device: torch.device) -> Iterator[Result]:
    """Results of 0 … count − 1, in this order; on a CPU each thread does whole ones alone.

    So no thread waits for another after each small step, and sums are the same each time.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(work, range(count))
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, range(count))
    finally:
        torch.set_num_threads(threads)


def _pull(total: NDArray[np.float64]) -> Pull:
    energy, told, slope, curvature, weight, size = total
    known = np.maximum(weight, 1e-12)
    pixel = size / known
    mean = float(energy.sum() / told.sum()) if told.any() else float("nan")
    misfit = energy / np.maximum(told, 1e-12)
    return Pull(slope / known * pixel, curvature / known * pixel**2, weight, pixel, misfit, mean)


@dataclass(frozen=True)
class _Box:
    """A rectangle of a picture with MARGIN around it; see `Reference`."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def around(cls, pixels: Tensor, width: int) -> _Box:
        x, y = pixels % width, pixels // width
        left, top = int(x.min()), int(y.min())
        across = -(-(int(x.max()) + 1 - left) // _LANES) * _LANES
        return cls(
            left - MARGIN, top - MARGIN, across + 2 * MARGIN,
            int(y.max()) + 1 - top + 2 * MARGIN,
        )  # fmt: skip

    def places(self, pixels: Tensor, width: int) -> Tensor:
        """Where pixels of the picture lie in the rectangle, in memory's order."""
        return (pixels // width - self.top) * self.width + pixels % width - self.left

    def cut(self, picture: Tensor) -> Tensor:
        """The picture [H, W] in the rectangle; zero outside the picture."""
        height, width = picture.shape
        right, bottom = self.left + self.width - width, self.top + self.height - height
        return pad(picture, (-self.left, right, -self.top, bottom)).contiguous()

    def scattered(self, pixels: Tensor, values: Tensor, width: int) -> Tensor:
        """Values [P, 3] of pixels, [h, w, 3], zero elsewhere."""
        result = torch.zeros(self.height * self.width, 3, device=values.device)
        result[self.places(pixels, width)] = values
        return result.view(self.height, self.width, 3)


def _camera(reference: Frame, source: Frame) -> NDArray[np.float64]:
    """K_s R and K_s t, and the source's place in the reference camera's frame, [15]."""
    relative = np.linalg.inv(source.world_from_cam) @ reference.world_from_cam
    rotation, shift = relative[:3, :3], relative[:3, 3]
    there = source.intrinsics.matrix()
    return np.concatenate([(there @ rotation).reshape(-1), there @ shift, -rotation.T @ shift])
