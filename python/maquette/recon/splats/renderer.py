"""Splats as cameras see them, for evaluation and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon import gpus
from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.run_files import newest
from maquette.recon.splats.trained import read_trained
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


class SplatRenderer:
    """Draws Gaussians, world units.

    Args:
        background: sRGB behind everything, 0..1.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        iteration: int | None = None,
        background: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.iteration, self._gaussians = iteration, gaussians
        self._background = torch.tensor(background, device=gaussians.device)[:, None, None]

    def render(self, frame: Frame) -> NDArray[np.float32]:
        """What the camera of a frame sees, [H, W, 3] sRGB 0..1."""
        return self.render_covered(frame)[0]

    def render_covered(self, frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same, and the share of each pixel that Gaussians cover, [H, W] 0..1."""
        with torch.no_grad():
            drawn = render(self._gaussians, Camera.of(frame, self._gaussians.device))
            color = (drawn.color + self._background * drawn.passing).clamp(0, 1)
        picture: NDArray[np.float32] = color.permute(1, 2, 0).numpy(force=True)
        covered: NDArray[np.float32] = (1 - drawn.passing).numpy(force=True)
        return picture, covered


def open_renderer(scene: Scene, group: str) -> SplatRenderer:
    """The Gaussians as they were trained, the surroundings of the region included.

    Raises:
        NotMeasured: there are none.
        BadInput: their file is damaged.
    """
    path = newest(scene.run(group))
    if path is None:
        raise NotMeasured("no splats were trained yet: `make process PIPELINE=splat`")
    trained = read_trained(path)
    gaussians = trained.gaussians.to(gpus.device_of(1))
    return SplatRenderer(gaussians, trained.iteration, trained.background)
