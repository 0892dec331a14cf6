"""How much worse splats show photographs after something was left out of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maquette.recon import gpus
from maquette.recon.evaluate.views import held_out
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.renderer import SplatRenderer
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_COVERED = 0.9  # of a pixel by all Gaussians, for it to count
_LONG_SIDE_PX = 480
_BEST_PSNR_DB = 100.0
_PHOTOS = 6  # that judge, where none is held out


def judges(frames: Sequence[Frame]) -> list[Frame]:
    """Photos that tell what is lost: those held out, or some of all where there are few."""
    return held_out(frames) or list(frames[:: max(1, len(frames) // _PHOTOS)])[:_PHOTOS]


class Quality:
    """Compares splats with photographs, where the whole scene covers them.

    Args:
        frames: Of the photographs, best those that training never saw.
        whole: What others are compared with.
    """

    def __init__(self, scene: Scene, frames: Sequence[Frame], whole: Gaussians) -> None:
        self._views = Views(scene, frames, _LONG_SIDE_PX)
        self._device = gpus.device_of(1)
        renderer = SplatRenderer(whole.to(self._device))
        shown = [renderer.render_covered(frame) for frame in self._views.frames]
        self._counting = [self._mask(number, covered) for number, (_, covered) in enumerate(shown)]
        self.psnr_db = self._psnr([picture for picture, _ in shown])

    def lost_db(self, part: Gaussians) -> float:
        """By how much the PSNR falls, the mean over the photographs; NaN where none counts."""
        renderer = SplatRenderer(part.to(self._device))
        return self.psnr_db - self._psnr([renderer.render(frame) for frame in self._views.frames])

    def _mask(self, number: int, covered: NDArray[np.float32]) -> NDArray[np.bool_]:
        mask = self._views.mask(number)
        counting: NDArray[np.bool_] = covered > _COVERED
        return counting if mask is None else counting & mask

    def _psnr(self, pictures: Sequence[NDArray[np.float32]]) -> float:
        values = []
        for number, (picture, counting) in enumerate(zip(pictures, self._counting, strict=True)):
            if counting.any():
                difference = self._views.image(number) / 255.0 - picture
                error = float(np.square(difference[counting]).mean())
                values.append(min(_BEST_PSNR_DB, -10 * np.log10(max(error, 1e-12))))
        return float(np.mean(values)) if values else float("nan")
