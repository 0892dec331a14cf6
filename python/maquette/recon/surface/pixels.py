"""The pixels of all training photographs in one tensor, where memory suffices."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.training.draws import Draws
from maquette.recon.views.views import Views

_PIXEL_BYTES, _NUMBER_BYTES = 3, 8


@dataclass(frozen=True)
class Pixels:
    """Some pixels.

    Attributes:
        image: [R] int64, which view.
        position: [R, 2] float32 (x, y), pixel centres at +0.5.
        colors: [R, 3] float32, sRGB 0..1.
    """

    image: Tensor
    position: Tensor
    colors: Tensor

    @classmethod
    def of(cls, image: Tensor, number: Tensor, width: Tensor, bytes_: Tensor) -> Pixels:
        """From pixel numbers within their images, row by row, and colours as bytes."""
        position = torch.stack([number % width, number // width], dim=-1) + 0.5
        return cls(image, position, bytes_.float() / 255.0)


class AllPixels:
    """Every pixel of every view.

    Raises:
        BadInput: see `PixelDataset`.
    """

    def __init__(self, views: Views, device: torch.device) -> None:
        sizes = [width * height for width, height in map(views.size, range(len(views)))]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.pixels = torch.empty((int(starts[-1]), 3), dtype=torch.uint8, device=device)
        copies = Copies()
        for index, start in enumerate(starts[:-1]):
            image = views.read_image(index)
            copies.add(image)
            self.pixels[start : start + sizes[index]] = torch.tensor(image).reshape(-1, 3)
        copies.refuse()
        self.starts = torch.from_numpy(starts).to(device)
        self.widths = torch.tensor([views.size(i)[0] for i in range(len(views))], device=device)
        self.valid = _valid_pixels(views, starts, device) if views.has_masks else None

    @staticmethod
    def needed_bytes(views: Views) -> int:
        """Memory that all pixels of the views would take."""
        count = sum(width * height for width, height in map(views.size, range(len(views))))
        return count * (_PIXEL_BYTES + (_NUMBER_BYTES if views.has_masks else 0))

    @property
    def held_bytes(self) -> int:
        """Memory that pixels take."""
        numbers = 0 if self.valid is None else self.valid.untyped_storage().nbytes()
        return self.pixels.nbytes + numbers

    def draw(self, count: int, draws: Draws) -> Pixels:
        """Draw pixels, all equally likely, with replacement."""
        total = len(self.pixels) if self.valid is None else len(self.valid)
        index = draws.integers(total, count)
        if self.valid is not None:
            index = self.valid[index]
        image = torch.searchsorted(self.starts, index, right=True) - 1
        number = index - self.starts[image]
        return Pixels.of(image, number, self.widths[image], self.pixels[index])

    def advance(self, iteration: int, total: int) -> None:
        """Nothing is to be done: all are there."""

    def state(self) -> None:
        """All are held."""


class Copies:
    """Notices when every photograph is the same picture."""

    def __init__(self) -> None:
        self._first: NDArray[np.uint8] | None = None
        self._count, self._differ = 0, False

    def add(self, image: NDArray[np.uint8]) -> None:
        """Look at one more."""
        self._count += 1
        if self._first is None:
            self._first = image
        self._differ = self._differ or not np.array_equal(image, self._first)

    def refuse(self) -> None:
        """Raise BadInput when there were three or more, all alike."""
        if self._count >= 3 and not self._differ:
            raise BadInput(
                f"all {self._count} images are the same picture",
                hint="photograph the object from all sides, and run `make prepare` again",
            )


def no_pixels() -> BadInput:
    """The error of masks that leave nothing."""
    return BadInput("the masks exclude every pixel", hint="black means ignore, white means use")


def _valid_pixels(views: Views, starts: NDArray[np.int64], device: torch.device) -> Tensor:
    """Numbers of the pixels that no mask excludes, of all views in a row."""
    numbers = torch.empty(int(starts[-1]), dtype=torch.long, device=device)
    count = 0
    for index, (start, end) in enumerate(itertools.pairwise(starts.tolist())):
        mask = views.mask(index)
        kept = np.arange(end - start) if mask is None else np.flatnonzero(mask)
        numbers[count : count + len(kept)] = torch.from_numpy(kept + start)
        count += len(kept)
    if not count:
        raise no_pixels()
    return numbers[:count]
