"""What a sweep of PatchMatch stereo starts from and changes; symbols as in `stacks.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The samples that are compared around a pixel: 6 × 6 without corners, every other pixel.

    Attributes:
        offsets: [3, 32] float32: right and down in pixels, and how far away it is, squared, by
            twice the variance of the weight in space.
        contrast: One by twice the variance of the weight in grey levels.
    """

    offsets: Tensor
    contrast: float

    @classmethod
    def of(cls, sigma_px: float, sigma_grey: float, device: torch.device) -> Window:
        """A window whose weights fall off with these standard deviations."""
        axis = np.arange(-5.0, 6.0, 2.0)
        right, down = np.meshgrid(axis, axis)
        square = right**2 + down**2
        rows = np.stack([right, down, square / (2 * sigma_px**2)])[:, square < 50]
        offsets = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(device)
        return cls(offsets, 1 / (2 * sigma_grey**2))


@dataclass(frozen=True)
class Effort:
    """What a sweep tries and how it judges.

    Attributes:
        least, most: Inverse depths between which planes must lie at their pixel.
        tries: How many changes: of depth, of the normal, of both, a new depth, a new normal.
        depth_step, normal_step: Largest change of the depth, relative, and of a coordinate of the
            unit normal.
        limit: Photometric cost below which a view fits a candidate.
        consistency: Weight of a pixel of disagreement with the source views' depths; 0 = none.
        prior_depth: Standard deviation of depths about the planar prior, world units; 0 = no prior.
    """

    least: float
    most: float
    tries: int
    depth_step: float
    normal_step: float
    limit: float = 0.8
    consistency: float = 0.0
    prior_depth: float = 0.0


@dataclass
class State:
    """What is known of a reference view; sweeps change it in place.

    Attributes:
        planes: [H, W, 3] float32, ν.
        costs: [H, W] float32; at masked pixels without meaning.
        chosen: [H, W] int32, bit v is set where source view v was worth much.
        prior: [H, W, 3] float32, the planes that the surface may have there, 0 where none is known;
            anything without a prior.
    """

    planes: Tensor
    costs: Tensor
    chosen: Tensor
    prior: Tensor = field(default_factory=lambda: torch.zeros(1))
