"""What all photos together say of each vertex of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from maquette.recon.mesh_refinement.agreement import MARGIN, Reference, Sources, Window, evaluate
from maquette.recon.mesh_refinement.pictures import Pictures, needed_for, parts
from maquette.recon.mesh_refinement.visible_faces import planes_and_weights, see
from maquette.scene.transforms import Frame

Result = TypeVar("Result")
_LANES = 16  # a reference's width is a multiple of it
_LIMIT_BYTES = 256 << 20


@dataclass(frozen=True)
class _Photo:
    """A picture and the mesh's depth in it.

    Attributes:
        grey: [H, W] uint8.
        depth: [H, W] float32, 0 where there is no mesh or a mask excludes it.
    """

    grey: Tensor
    depth: Tensor


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
    """Pictures of one size level and what they say of a mesh, few in memory at a time.

    Args:
        pictures: Grey pictures with cameras and masks.
        pairs: For each picture its sources' numbers; one with none is compared with no other.
        limit_bytes: Of pictures and depths in memory, which hold those of a part of the views
            and their sources; what two parts need is drawn for each of them.
    """

    def __init__(
        self, pictures: Pictures, pairs: Sequence[Sequence[int]], device: torch.device,
        limit_bytes: int = _LIMIT_BYTES,
    ) -> None:  # fmt: skip
        self.device, self.frames = device, pictures.frames
        self._pictures, self._pairs = pictures, pairs
        self._parts = list(parts(pictures.frames, pairs, limit_bytes))

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
        total = torch.zeros(6, len(vertices), dtype=torch.float64, device=faces.device)
        held: dict[int, _Photo] = {}
        for part in self._parts:
            needed = needed_for(part, self._pairs)
            held = {number: held[number] for number in needed if number in held}
            missing = [number for number in needed if number not in held]
            drawn = in_threads(partial(self._drawn, vertices, faces), missing, faces.device)
            held |= dict(zip(missing, drawn, strict=True))
            compare = partial(self._of_view, held, vertices, faces, window)
            for number, found in zip(part, in_threads(compare, part, faces.device), strict=True):
                if found is not None:
                    total += found
                told(number + 1, len(self.frames))
        return _pull(total.cpu().numpy())

    def _drawn(self, vertices: Tensor, faces: Tensor, number: int) -> _Photo:
        view = self._pictures.read(number)
        depth = see(vertices, faces, self.frames[number]).depth
        if view.mask is not None:
            depth = depth * torch.tensor(view.mask, device=self.device)
        return _Photo(torch.tensor(view.image, device=self.device), depth)

    def _sources(self, held: Mapping[int, _Photo], number: int) -> Sources:
        chosen = self._pairs[number]
        photos = [held[other] for other in chosen]
        starts = np.cumsum([0, *(photo.grey.numel() for photo in photos)])
        layout = [
            (start, *photo.grey.shape[::-1])
            for start, photo in zip(starts[:-1], photos, strict=True)
        ]
        cameras = np.stack([_camera(self.frames[number], self.frames[other]) for other in chosen])
        return Sources(
            torch.cat([photo.grey.view(-1) for photo in photos]),
            torch.cat([photo.depth.view(-1) for photo in photos]),
            torch.tensor(np.array(layout), dtype=torch.int64, device=self.device),
            torch.arange(len(chosen), dtype=torch.int32, device=self.device),
            torch.tensor(cameras, dtype=torch.float32, device=self.device),
        )

    def _of_view(
        self, held: Mapping[int, _Photo], vertices: Tensor, faces: Tensor, window: Window,
        number: int,
    ) -> Tensor | None:  # fmt: skip
        """Sums over one view's pixels, [6, V] float64; None where it sees nothing.

        They are energy, τ, slope, curvature, weight, and the pixel's size times the weight.
        """
        if not self._pairs[number]:
            return None
        photo, frame = held[number], self.frames[number]
        pixels = torch.nonzero(photo.depth.view(-1))[:, 0]
        if not len(pixels):
            return None
        seen, sources = see(vertices, faces, frame), self._sources(held, number)
        planes, shares = planes_and_weights(seen, faces, frame, pixels)
        box = _Box.around(pixels, frame.intrinsics.width)
        lens = frame.intrinsics
        reference = Reference(
            box.cut(photo.grey.float()), box.scattered(pixels, planes, lens.width), box.left,
            box.top, (lens.fl_x, lens.fl_y, lens.cx, lens.cy),
        )  # fmt: skip
        values = evaluate(reference, sources, window).view(5, -1)[:, box.places(pixels, lens.width)]
        size = seen.depth.view(-1)[pixels] / lens.fl_x * values[4]
        corners = faces[seen.face.view(-1)[pixels]].long().view(-1)
        total = torch.zeros(6, len(vertices), dtype=torch.float64, device=faces.device)
        for row, value in zip(total, [*values, size], strict=True):
            row.index_add_(0, corners, (shares * value[:, None]).view(-1).double())
        return total


def in_threads(
    work: Callable[[int], Result], numbers: Sequence[int], device: torch.device
) -> Iterator[Result]:
    """Results for some numbers, in their order; on a CPU each thread does whole ones alone.

    So no thread waits for another after each small step, and sums are the same each time.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(work, numbers)
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, numbers)
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
