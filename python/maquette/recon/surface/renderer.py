"""Held-out views of a trained surface, for evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.surface.trained import TrainedSurface, load
from maquette.scene import checkpoints
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


class SurfaceRenderer:
    """Renders a trained surface."""

    def __init__(self, surface: TrainedSurface) -> None:
        self._surface = surface

    @property
    def iteration(self) -> int:
        """How long the surface was trained."""
        return self._surface.iteration

    def render(self, frame: Frame) -> NDArray[np.float32]:
        """What the camera of a frame sees, [H, W, 3] sRGB 0..1."""
        lens = frame.intrinsics
        return self._surface.render(frame, lens.width, lens.height).rgb


def open_renderer(scene: Scene, group: str) -> SurfaceRenderer:
    """Open the newest checkpoint of a group.

    Raises:
        NotMeasured: there is none.
        BadInput: it is damaged, or not of this engine.
    """
    choice = checkpoints.newest(scene.run(group))
    if choice is None:
        raise NotMeasured(f"no training run of group {group} yet: `make process`")
    return SurfaceRenderer(load(choice.path))
