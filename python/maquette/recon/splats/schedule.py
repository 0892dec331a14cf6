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
_LEAST_PERIOD = 10  # steps
_POSES_UNTIL = 0.8
_NORMALS_FROM = 0.25


@dataclass(frozen=True)
class Rates:
    """Learning rates of one step."""

    means: float
    log_scales: float
    quaternions: float
    opacity_logits: float
    sh: float
    later_sh: float
    poses: float
    exposure: float
    sky: float


@dataclass(frozen=True)
class Schedule:
    """The plan of a run, by the photographs that it has trained with: one a step, or a batch.

    Attributes:
        extent: Of the scene, world units: how far cameras stand from their middle.
    """

    options: SplatOptions
    extent: float

    def share(self, photos: int) -> float:
        """How much of the run is done, 0..1; 1 for whatever comes after its end."""
        return min(1.0, photos / self.options.iterations)

    def rates(self, photos: int) -> Rates:
        """Source: Kerbl et al., 2023, and its later practice; poses decay as in gsplat.

        They grow with the root of the batch as in Zhao et al., "On scaling up 3D Gaussian
        splatting training", 2024. The noise of MCMC, whose variance is the rate's square, then
        adds up to as much over a run, whatever the batch.
        """
        share = self.share(photos)
        step = self.options.batch**0.5
        fall = step * math.exp(math.log(0.01) * share)
        return Rates(
            means=1.6e-4 * self.extent * fall, log_scales=5e-3 * step, quaternions=1e-3 * step,
            opacity_logits=5e-2 * step, sh=2.5e-3 * step, later_sh=1.25e-4 * step,
            poses=1e-4 * fall if share < _POSES_UNTIL else 0.0, exposure=1e-3 * fall,
            sky=2.5e-3 * step,
        )  # fmt: skip

    def picture_scale(self, photos: int, long_side: int) -> float:
        """Size of the pictures, as a factor of their sides."""
        for until, scale in _SCALES:
            if self.share(photos) < until:
                return min(1.0, max(scale, _LEAST_SIDE / long_side))
        return 1.0

    def normal_weight(self, photos: int) -> float:
        """What normals count: nothing until there is a surface."""
        return self.options.normal_weight if self.share(photos) >= _NORMALS_FROM else 0.0

    def degree(self, photos: int) -> int:
        """Degree of the harmonics that take part."""
        most = self.options.degree
        return min(most, int(self.share(photos) / _DEGREES_BY * (most + 1)))

    @property
    def period(self) -> int:
        """Photographs between two rounds of adding and moving Gaussians."""
        start, end = _GROWS
        wanted = round((end - start) * self.options.iterations / _ROUNDS)
        return max(_LEAST_PERIOD * self.options.batch, wanted)

    def grows(self, photos: int) -> bool:
        """Whether Gaussians are added and moved after the step that ends with so many."""
        start, end = _GROWS
        inside = start <= self.share(photos) <= end and photos < self.options.iterations
        return inside and photos // self.period > (photos - self.options.batch) // self.period

    def is_moving(self, photos: int) -> bool:
        """Whether the time of adding and moving has not ended."""
        return self.share(photos) <= _GROWS[1]
