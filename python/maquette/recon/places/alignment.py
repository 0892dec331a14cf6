"""A world laid over places on Earth by a similarity, and whether that can be believed.

Notation: `x` are world points, `y` places in metres (east, north, up), y ≈ s R x + t. σ is the
scatter of a place along one axis; a fit of N places by 7 numbers leaves 3 N - 7 degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.evaluate.similarity import Similarity, align_robustly, residuals

Floats = NDArray[np.float64]
LEAST_PLACES = 4
_KEPT_SIGMAS = 4.0
_FLOOR_M = 1e-6
_THINNEST = 0.05  # second extent of the places, of the first; less is a line
_LARGEST_TILT_DEG, _LARGEST_SCALE_ERROR = 5.0, 0.05  # standard errors
_LARGEST_SCATTER = 0.3  # of the second extent: a wrong shape among many photos scatters more
_LEAST_SHARE = 0.5  # of the places that agree


@dataclass(frozen=True)
class Alignment:
    """A similarity and how well it fits.

    Attributes:
        metres_from_world: y ≈ s R x + t.
        distances: [N] metres from each place to where it came out.
        agrees: [N] the places that count.
        extents: [3] standard deviations in metres of the world points along their main axes.
    """

    metres_from_world: Similarity
    distances: Floats
    agrees: NDArray[np.bool_]
    extents: Floats

    @property
    def rms_m(self) -> float:
        """Root mean square of the distances of those that count."""
        return float(np.sqrt((self.distances[self.agrees] ** 2).mean()))

    @property
    def sigma_m(self) -> float:
        """The scatter of one place along one axis."""
        count = int(self.agrees.sum())
        squares = float((self.distances[self.agrees] ** 2).sum())
        return float(np.sqrt(squares / max(3 * count - 7, 1)))

    @property
    def is_line(self) -> bool:
        """Whether the cameras stand in one line, around which the world may turn."""
        return bool(self.extents[1] < _THINNEST * self.extents[0])

    @property
    def tilt_deg(self) -> float:
        """Standard error of the direction that is up."""
        across = max(float(self.extents[1]), 1e-12) * np.sqrt(self.agrees.sum())
        return float(np.degrees(np.arctan(self.sigma_m / across)))

    @property
    def scale_error(self) -> float:
        """Standard error of the scale, relative."""
        spread = float(np.linalg.norm(self.extents)) * np.sqrt(self.agrees.sum())
        return self.sigma_m / max(spread, 1e-12)

    @property
    def is_plausible(self) -> bool:
        """Whether it tells scale and up better than it could by chance."""
        certain = self.tilt_deg <= _LARGEST_TILT_DEG and self.scale_error <= _LARGEST_SCALE_ERROR
        agree = self.agrees.sum() >= max(LEAST_PLACES, _LEAST_SHARE * len(self.agrees))
        certain = certain and self.sigma_m <= _LARGEST_SCATTER * self.extents[1]
        return bool(certain and agree and not self.is_line)


def align(world: Floats, places: Floats, seed: int = 0) -> Alignment:
    """Fit places [N, 3] in metres to world points [N, 3], of which fewer than half may be wrong.

    Raises:
        BadInput: the points are too few or coincide.
    """
    return _judged(align_robustly(world, places, seed), world, places)


def with_scale(found: Alignment, scale: float, world: Floats, places: Floats) -> Alignment:
    """The same with another scale, moved so that the middle of the places stays."""
    rotation = found.metres_from_world.rotation
    kept = found.agrees
    shift = places[kept].mean(axis=0) - scale * rotation @ world[kept].mean(axis=0)
    return _judged(Similarity(scale, rotation, shift), world, places, kept)


def _judged(
    fitted: Similarity, world: Floats, places: Floats, agrees: NDArray[np.bool_] | None = None
) -> Alignment:
    distances = residuals(fitted, world, places)
    if agrees is None:
        usual = 1.4826 * float(np.median(distances))
        agrees = distances <= _KEPT_SIGMAS * usual + _FLOOR_M
    kept = fitted.scale * world[agrees]
    if len(kept) < 2:
        raise BadInput("the places do not agree with the cameras")
    spread = np.linalg.svd(kept - kept.mean(axis=0), compute_uv=False) / np.sqrt(len(kept))
    extents = np.zeros(3)
    extents[: len(spread)] = spread
    return Alignment(fitted, distances, agrees, extents)
