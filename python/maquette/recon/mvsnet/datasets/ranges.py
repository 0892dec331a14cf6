"""Which depths are searched, and whether that suits the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, ConfigError
from maquette.recon.mvsnet.datasets.camera_files import Camera
from maquette.recon.mvsnet.samples import RANGE_MM

INTERVAL_MM = 2.5  # between DTU's planes
_COVERED = 0.95  # of the range, at least
_STRANGE = 4.0  # times nearer or farther than the range: another unit


@dataclass(frozen=True)
class PlaneOptions:
    """What a sample is asked for.

    Attributes:
        n_views: Pictures of a sample, the reference among them.
        n_depths, interval_scale: Planes, and their distance in intervals of the cameras; so the
            range of depths that is searched.
    """

    n_views: int = 3
    n_depths: int = 256
    interval_scale: float = 0.8

    def span(self, camera: Camera) -> tuple[float, float]:
        """Near and far: the camera's own where it names both, else that of the planes."""
        if camera.depth_max > camera.depth_min:
            return camera.depth_min, camera.depth_max
        step = camera.interval * self.interval_scale
        return camera.depth_min, camera.depth_min + step * (self.n_depths - 1)


def check_covered(options: PlaneOptions, camera: Camera) -> None:
    """Refuse planes that end before the data do.

    Source: the rule of MVSNet_pl: 2.5 × n_depths × interval_scale is about 510.

    Raises:
        ConfigError: they reach less than 95 % of DTU's 510 mm.
    """
    if camera.depth_max > camera.depth_min:
        return
    reach = INTERVAL_MM * options.n_depths * options.interval_scale
    if reach < _COVERED * RANGE_MM:
        scale = RANGE_MM / INTERVAL_MM / options.n_depths
        raise ConfigError(
            f"2.5 × N_DEPTHS × INTERVAL_SCALE is {reach:.4g}: the planes do not cover the depths, "
            f"which need {RANGE_MM:.0f}",
            hint=f"e.g. N_DEPTHS={options.n_depths} INTERVAL_SCALE={scale:.3g}",
        )


def check_unit(depth: NDArray[np.float32], camera: Camera, name: str) -> None:
    """Refuse depth that can not be in the unit of its camera.

    Raises:
        BadInput: its median is four times beyond the camera's range.
    """
    known = depth[depth > 0]
    if not known.size:
        return
    middle = float(np.median(known))
    far = camera.depth_max or camera.depth_min + camera.interval / INTERVAL_MM * RANGE_MM
    if middle < camera.depth_min / _STRANGE or middle > far * _STRANGE:
        raise BadInput(
            f"depth in another unit than its camera: `{name}`",
            detail=f"half of it is beyond {middle:.4g}, the camera's range is "
            f"{camera.depth_min:.4g} to {far:.4g}",
            hint="DTU's depth and cameras are in millimetres; scale one of them",
        )
