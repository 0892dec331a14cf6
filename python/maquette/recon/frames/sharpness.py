"""How sharp a picture is, and which of several to take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE_PX = 480


def sharpness(image: Image.Image) -> float:
    """Variance of the Laplacian of the grey picture reduced to 480 px; higher is sharper.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000 (LAPV).
    """
    grey = image.convert("L")
    grey.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    return laplacian_variance(np.asarray(grey, dtype=np.float64))


def laplacian_variance(grey: NDArray[np.float64]) -> float:
    """Variance of the 4-neighbour Laplacian of `grey` [H, W]; 0 below 3 × 3 pixels."""
    if min(grey.shape) < 3:
        return 0.0
    centre = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * centre).var())


class Sharpest:
    """Keeps the sharpest frame of the current window; ties are broken by the seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._best: tuple[float, float] = (-1.0, -1.0)

    def start(self) -> None:
        """Begin a new window."""
        self._best = (-1.0, -1.0)

    def is_better(self, value: float) -> bool:
        """Whether a frame of this sharpness takes the lead."""
        rank = (round(value, 6), float(self._random.random()))
        if rank <= self._best:
            return False
        self._best = rank
        return True
