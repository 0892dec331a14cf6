"""The region's numbers on the adjusting page, shown with as many digits as tell something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import viser
from numpy.typing import ArrayLike, NDArray

from maquette.scene.region import Region
from maquette.viewer.editing import RegionEditor

Attempt = Callable[[Any, Callable[[], None]], None]


class RegionNumbers:
    """Centre, radius and box, each component to be typed.

    The last digit is about a thousandth of the radius; what a person leaves as it is keeps all
    of its digits.

    Args:
        attempt: Does what an event asks for, and tells the window when it can not be done.
    """

    def __init__(self, gui: viser.GuiApi, editor: RegionEditor, attempt: Attempt) -> None:
        self._editor = editor
        self._digits = max(0, round(3 - np.log10(editor.region.radius)))
        step = 10.0**-self._digits
        box = np.asarray(editor.region.box)
        self.center = gui.add_vector3("centre", self._short(editor.region.center), step=step)
        self.radius = gui.add_number(
            "radius", self._rounded(editor.region.radius), min=step / 1e3, step=step
        )
        self.low = gui.add_vector3("box min", self._short(box[:, 0]), step=step)
        self.high = gui.add_vector3("box max", self._short(box[:, 1]), step=step)

        def typed(event: Any, take: Callable[[], None]) -> None:
            if event.client is not None:  # the program's own updates come without a client
                attempt(event, take)

        for part in (self.center, self.radius):
            part.on_update(lambda event: typed(event, self._take_sphere))
        for part in (self.low, self.high):
            part.on_update(lambda event: typed(event, self._take_box))

    def show(self, region: Region) -> None:
        """Show the numbers of a region."""
        box = np.asarray(region.box)
        self.center.value, self.radius.value = (
            self._short(region.center), self._rounded(region.radius),
        )  # fmt: skip
        self.low.value, self.high.value = self._short(box[:, 0]), self._short(box[:, 1])

    def _take_sphere(self) -> None:
        region = self._editor.region
        center = self._meant(self.center.value, region.center)
        self._editor.set_sphere(center, float(self._meant(self.radius.value, region.radius)))

    def _take_box(self) -> None:
        box = np.asarray(self._editor.region.box)
        low, high = self._meant(self.low.value, box[:, 0]), self._meant(self.high.value, box[:, 1])
        self._editor.set_box(low, high)

    def _meant(self, shown: ArrayLike, exact: ArrayLike) -> NDArray[np.float64]:
        """What was typed; where that is the rounded present value, the present value."""
        untouched = np.isclose(
            shown, self._rounded(exact), rtol=0, atol=10.0 ** -(self._digits + 3)
        )
        return np.where(untouched, exact, shown)

    def _rounded(self, value: Any) -> Any:
        return np.round(value, self._digits) if np.ndim(value) else round(value, self._digits)

    def _short(self, value: ArrayLike) -> tuple[float, float, float]:
        x, y, z = (float(part) for part in self._rounded(np.asarray(value, float)))
        return x, y, z
