"""What makes a view's depth map from its picture and those of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.patch_match import DepthMap, Matching, estimate
from maquette.recon.mvs.shards import Material


class DepthEstimator(Protocol):
    """Makes depth maps of the views of a plan."""

    @property
    def settings(self) -> Any:
        """What decides maps besides pictures, masks and cameras, as JSON."""
        ...

    def start(self, view: int) -> Any:
        """What of that is known of a view alone."""
        ...

    def estimate(self, view: int) -> DepthMap:
        """The map of a view, of its picture's size; its costs are 0 where it is sure."""
        ...


class PatchMatchEstimator:
    """PatchMatch stereo.

    Args:
        points: By view, pixel (x, y) and depth [P, 3] of the points that it is known to see.
    """

    def __init__(
        self, material: Material, points: Mapping[int, NDArray[np.float64]], matching: Matching,
        device: torch.device,
    ) -> None:  # fmt: skip
        self._material, self._points = material, points
        self._matching, self._device = matching, device

    @property
    def settings(self) -> Any:
        return asdict(self._matching)

    def start(self, view: int) -> Any:
        return digest(self._points[view].tolist())

    def estimate(self, view: int) -> DepthMap:
        material = self._material
        span = material.plan.spans[view]
        assert span is not None
        sources = [material.grey(number) for number in material.plan.sources(view)]
        return estimate(
            material.grey(view), sources, span, self._points[view], self._matching, self._device
        )
