"""What a pipeline gives to be evaluated, besides files: views of what it made."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


class NotMeasured(Exception):
    """Something can not be measured; the message is the sentence that says why."""


class Renderer(Protocol):
    """Shows a scene as the pipeline's newest model knows it."""

    @property
    def iteration(self) -> int | None:
        """How long the model was trained; None when it was not."""

    def render(self, frame: Frame) -> NDArray[np.floating]:
        """What the camera of a frame sees, [H, W, 3] sRGB 0..1, in the size of its intrinsics.

        NaN where the model shows nothing: these pixels do not count.
        """


class OpenRenderer(Protocol):
    """How a module that a pipeline names as its `renderer` opens one: its `open_renderer`."""

    def __call__(self, scene: Scene, group: str, /) -> Renderer:
        """Open the newest model of a group.

        Raises:
            NotMeasured: there is none.
            MaquetteError: there is one, but it is not usable.
        """
