"""A network as what makes the depth maps of a dense workspace."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.shards import Material
from maquette.recon.mvsnet import weights
from maquette.recon.mvsnet.inference import DepthNetwork, PhotoView

_VERSION = 1  # raised when the same weights would give another map


class NetworkEstimator:
    """A `DepthEstimator` (`recon/mvs/estimators.py`) with the weights of a file.

    Raises:
        NotFound, BadInput: there is no such file, or it holds no weights of such a network.
    """

    def __init__(self, material: Material, file: Path, device: torch.device) -> None:
        self._material = material
        self._network = DepthNetwork(weights.load(file), self._view, device)
        self._digest = hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def settings(self) -> Any:
        return {"network": self._digest, "version": _VERSION}

    def start(self, view: int) -> Any:
        return None

    def estimate(self, view: int) -> DepthMap:
        plan = self._material.plan
        span = plan.spans[view]
        assert span is not None
        found = self._network.depth_map(view, plan.sources(view), span)
        mask = self._material.views.mask(view)
        return found if mask is None else found.kept(np.asarray(mask))

    def _view(self, number: int) -> PhotoView:
        views = self._material.views
        return PhotoView(views.frames[number], views.image(number))
