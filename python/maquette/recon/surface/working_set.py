"""A part of the photographs in memory, which changes during training, so that all have their turn.

The views stand on a circle in a random order, and a window on it is what memory holds. The
window moves steadily: in a run of `max_iter` iterations it passes every view several times. It
is a function of order, size and position alone, which a checkpoint holds.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.surface.pixels import Copies, Pixels, no_pixels
from maquette.recon.training.draws import Draws
from maquette.recon.views.views import Views

_ROUNDS = 4  # times that the window passes each view in a run
_AHEAD = 2  # views that are read while training goes on
_MANY = 1 << 62  # its remainder is as good as an even draw
_PIXEL_BYTES, _NUMBER_BYTES = 3, 4


@dataclass
class Window:
    """Which views are held.

    Attributes:
        order: The circle of all views.
        size: Views held at once.
        position: How often it has moved on by one view.
    """

    order: list[int]
    size: int
    position: int = 0

    def at(self, place: int) -> tuple[int, int]:
        """Slot and view of a place on the circle; `position` to `position + size - 1` are held."""
        return place % self.size, self.order[place % len(self.order)]

    def moves(self, iteration: int, total: int) -> int:
        """How many views join after an iteration (1-based) of a run of `total`."""
        turns = _ROUNDS * len(self.order)
        return iteration * turns // total - (iteration - 1) * turns // total


@dataclass(frozen=True)
class _Loaded:
    """Pixels of a view that no mask excludes: colours [N, 3], numbers [N] or None without masks."""

    colors: NDArray[np.uint8]
    numbers: NDArray[np.int32] | None


class WorkingSet:
    """Pixels of as many views as fit.

    Args:
        limit_bytes: Of what is held, with what is read ahead; at least one view is held.
        seed: Decides the order of the views.
        state: `state()` of what is to be continued, of as many views.

    Raises:
        BadInput: see `PixelDataset`.
    """

    def __init__(
        self, views: Views, device: torch.device, limit_bytes: int, seed: int,
        state: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._views, self._device = views, device
        self._stride = max(width * height for width, height in map(views.size, range(len(views))))
        self._slot_bytes = self._stride * (_PIXEL_BYTES + _NUMBER_BYTES * views.has_masks)
        most = max(1, min(len(views), limit_bytes // self._slot_bytes - _AHEAD))
        self.window = _window(len(views), most, seed, state)
        slots = self.window.size
        self._pixels = torch.empty((slots * self._stride, 3), dtype=torch.uint8, device=device)
        self._numbers: torch.Tensor | None = None
        if views.has_masks:
            self._numbers = torch.empty(slots * self._stride, dtype=torch.int32, device=device)
        self._counts = np.zeros(slots, np.int64)
        self._images = torch.zeros(slots, dtype=torch.long, device=device)
        self._starts = torch.zeros(slots + 1, dtype=torch.long, device=device)
        self._widths = torch.tensor([views.size(i)[0] for i in range(len(views))], device=device)
        self._readers = ThreadPoolExecutor(_AHEAD, thread_name_prefix="views")
        self._coming: deque[Future[_Loaded]] = deque()
        self._fill()

    @property
    def held_bytes(self) -> int:
        """Memory that pixels take, with what is read ahead."""
        return (self.window.size + len(self._coming)) * self._slot_bytes

    def draw(self, count: int, draws: Draws) -> Pixels:
        """Draw pixels of the views that are held, all equally likely, with replacement."""
        index = draws.integers(_MANY, count) % self._starts[-1]
        slot = torch.searchsorted(self._starts, index, right=True) - 1
        number = index - self._starts[slot]
        where, image = slot * self._stride + number, self._images[slot]
        if self._numbers is not None:
            number = self._numbers[where].long()
        return Pixels.of(image, number, self._widths[image], self._pixels[where])

    def advance(self, iteration: int, total: int) -> None:
        """Let views join that are due after an iteration; as many leave."""
        if self.window.size == len(self._views):
            return
        for _ in range(self.window.moves(iteration, total)):
            self._move()
        self._see_some()

    def state(self) -> dict[str, Any]:
        """What decides which views are held."""
        window = self.window
        return {"order": list(window.order), "size": window.size, "position": window.position}

    def _fill(self) -> None:
        window, copies = self.window, Copies()
        for place in range(window.position, window.position + window.size):
            loaded = self._load(window.at(place)[1])
            if len(loaded.colors):
                copies.add(loaded.colors)
            self._put(place, loaded)
        copies.refuse()
        if window.size < len(self._views):
            self._read_ahead()
            self._see_some()

    def _see_some(self) -> None:
        """Move on from views whose masks exclude every pixel."""
        for _ in range(len(self._views)):
            if self._counts.any() or self.window.size == len(self._views):
                break
            self._move()
        if not self._counts.any():
            raise no_pixels()

    def _move(self) -> None:
        loaded = self._coming.popleft().result()
        self._put(self.window.position + self.window.size, loaded)
        self.window.position += 1
        self._read_ahead()

    def _read_ahead(self) -> None:
        while len(self._coming) < _AHEAD:
            place = self.window.position + self.window.size + len(self._coming)
            self._coming.append(self._readers.submit(self._load, self.window.at(place)[1]))

    def _load(self, view: int) -> _Loaded:
        image, mask = self._views.image(view), self._views.mask(view)
        colors = image.reshape(-1, 3)
        if not self._views.has_masks:
            return _Loaded(colors, None)
        kept = np.arange(len(colors)) if mask is None else np.flatnonzero(mask)
        return _Loaded(colors[kept], kept.astype(np.int32))

    def _put(self, place: int, loaded: _Loaded) -> None:
        """Write a view over what its slot held; a recorded GPU graph reads the same memory."""
        slot, view = self.window.at(place)
        part = slice(slot * self._stride, slot * self._stride + len(loaded.colors))
        self._pixels[part] = torch.tensor(loaded.colors, device=self._device)
        if self._numbers is not None and loaded.numbers is not None:
            self._numbers[part] = torch.from_numpy(loaded.numbers).to(self._device)
        self._counts[slot] = len(loaded.colors)
        self._images[slot] = view
        self._starts[1:] = torch.from_numpy(np.cumsum(self._counts)).to(self._device)


def _window(views: int, most: int, seed: int, state: dict[str, Any] | None) -> Window:
    if state is not None:
        return Window(list(state["order"]), min(state["size"], most), state["position"])
    return Window(np.random.default_rng(seed).permutation(views).tolist(), most)
