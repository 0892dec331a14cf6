"""How far the numbers of a `.sog` file are rounded, and which Gaussians share the same steps.

Lossless pictures cost what the digits are. Where photographs tell how much each number matters,
Gaussians fall into three classes, from what matters least to what matters most, each with steps of
its own that all add equally much error: of all ways to share out an error, the one that costs
least. A class lies together in the file, because an encoder that meets coarse steps and fine ones
mixed pays for the fine ones everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.morton import morton_order
from maquette.recon.splats.sensitivity import Sensitivity

Floats = NDArray[np.float64]
_CLASSES = 3
_ADDED = 0.06  # of the error against photographs, by all that is rounded together
_NUMBERS = 13  # of a Gaussian, without the palette's
_TO_THE_MEAN = 5.0  # times the error of one number that a Gaussian's palette vector may add
_LEAST = 1e-18  # what no picture shows
_SCALE, _COLOR = 0.12, 0.1  # of logarithms; of coefficients
_POSITION = 0.15  # of the second axis, the median of all
_ROTATION, _OPACITY = 4 / 255 * 2**0.5, 1 / 31
_MOST_POSITION = 0.7  # of the second axis: what follows is how far sensitivity can be trusted
_MOST = {"log_scales": 0.5, "quaternions": 6 * _ROTATION, "opacities": 5 * _OPACITY, "colors": 0.4}


@dataclass(frozen=True)
class Steps:
    """Steps by Gaussian, [N] each, and the order in which they lie in the file.

    Attributes:
        order: [N] int64.
        means: World units; `rotations` of quaternions' components; the others of what they are.
        to_the_mean: Squared distance within which a vector of the palette may be the mean one.
    """

    order: Tensor
    means: Floats
    log_scales: Floats
    rotations: Floats
    opacities: Floats
    colors: Floats
    to_the_mean: Floats

    def in_order(self) -> Steps:
        """The same, of Gaussians that were brought into the order."""
        order = self.order.numpy()
        told = {f.name: getattr(self, f.name)[order] for f in fields(self) if f.name != "order"}
        return Steps(torch.arange(len(order)), **told)


def even_steps(gaussians: Gaussians) -> Steps:
    """The same for all, in Morton order: nobody knows which of them matter."""
    count = len(gaussians)
    return Steps(
        morton_order(gaussians.means).cpu(), np.full(count, _POSITION * _second_axis(gaussians)),
        *(np.full(count, step) for step in (_SCALE, _ROTATION, _OPACITY, _COLOR, 0.0)),
    )  # fmt: skip


def steps_for(gaussians: Gaussians, shown: Sensitivity) -> Steps:
    """Steps that let pictures change by a share of what they differ from photographs anyway.

    An even step Δ adds Δ² / 12 times the sensitivity.
    """
    allowed = max(_ADDED * shown.error / (_NUMBERS * len(gaussians)), _LEAST)
    found = {name: t.double().clamp_min(_LEAST) for name, t in shown.by_name().items()}
    score = torch.stack([t.log() for name, t in found.items() if name != "directions"]).sum(0)
    rank = torch.empty_like(score, dtype=torch.int64)
    rank[score.argsort(stable=True)] = torch.arange(len(score), device=score.device)
    which = rank * _CLASSES // len(score)
    order = morton_order(gaussians.means)
    order = order[torch.argsort(which[order], stable=True)].cpu()
    most = _MOST | {"means": _MOST_POSITION * _second_axis(gaussians)}
    steps = {
        name: (12 * allowed / _class_means(found[name], which))
        .sqrt()
        .clamp(max=limit)
        .numpy(force=True)
        for name, limit in most.items()
    }
    near = _TO_THE_MEAN * allowed / found["directions"]
    return Steps(
        order, steps["means"], steps["log_scales"], steps["quaternions"], steps["opacities"],
        steps["colors"], near.numpy(force=True),
    )  # fmt: skip


def _second_axis(gaussians: Gaussians) -> float:
    """The median standard deviation along the second axis, world units."""
    return float(gaussians.log_scales.sort(dim=1).values[:, 1].exp().median())


def _class_means(values: Tensor, which: Tensor) -> Tensor:
    """For each of the values [N] the mean of its class."""
    sums = torch.zeros(_CLASSES, dtype=values.dtype, device=values.device)
    counts = torch.bincount(which, minlength=_CLASSES).clamp_min(1)
    return (sums.index_add_(0, which, values) / counts)[which]
