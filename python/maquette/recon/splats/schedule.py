"""What changes in the course of training, as functions of the share that is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from maquette.recon.splats.options import SplatOptions

_SCALES = ((0.12, 0.25), (0.35, 0.5))  # until which share of the run which size of pictures
_LEAST_SIDE = 64  # pixels: pictures are not reduced below this
_DEGREES_BY = 0.5  # share of the run after which all harmonics take part
_GROWS = (0.02, 0.6)  # share of the run in which Gaussians are added and moved
_ROUNDS = 80  # of adding and moving, in that time
_LEAST_PERIOD = 10
_POSES_UNTIL = 0.8


@dataclass(frozen=True)
class Rates:
    """Learning rates of one iteration."""

    means: float
    log_scales: float
    quaternions: float
    opacity_logits: float
    sh: float
    later_sh: float
    poses: float
    exposure: float


@dataclass(frozen=True)
class Schedule:
    """The plan of a run.

    Attributes:
        extent: Of the scene, world units: how far cameras stand from their middle.
    """

    options: SplatOptions
    extent: float

    def share(self, iteration: int) -> float:
        """How much of the run is done, 0..1; 1 for whatever comes after its end."""
        return min(1.0, iteration / self.options.iterations)

    def rates(self, iteration: int) -> Rates:
        """Source: Kerbl et al., 2023, and its later practice; poses decay as in gsplat."""
        share = self.share(iteration)
        fall = math.exp(math.log(0.01) * share)
        return Rates(
            means=1.6e-4 * self.extent * fall, log_scales=5e-3, quaternions=1e-3,
            opacity_logits=5e-2, sh=2.5e-3, later_sh=1.25e-4,
            poses=1e-4 * fall if share < _POSES_UNTIL else 0.0, exposure=1e-3 * fall,
        )  # fmt: skip

    def picture_scale(self, iteration: int, long_side: int) -> float:
        """Size of the pictures, as a factor of their sides."""
        for until, scale in _SCALES:
            if self.share(iteration) < until:
                return min(1.0, max(scale, _LEAST_SIDE / long_side))
        return 1.0

    def degree(self, iteration: int) -> int:
        """Degree of the harmonics that take part."""
        most = self.options.degree
        return min(most, int(self.share(iteration) / _DEGREES_BY * (most + 1)))

    @property
    def period(self) -> int:
        """Iterations between two rounds of adding and moving Gaussians."""
        start, end = _GROWS
        return max(_LEAST_PERIOD, round((end - start) * self.options.iterations / _ROUNDS))

    def grows(self, iteration: int) -> bool:
        """Whether Gaussians are added and moved after an iteration."""
        start, end = _GROWS
        inside = start <= self.share(iteration) <= end and iteration < self.options.iterations
        return inside and iteration % self.period == 0

    def is_moving(self, iteration: int) -> bool:
        """Whether the time of adding and moving has not ended."""
        return self.share(iteration) <= _GROWS[1]
