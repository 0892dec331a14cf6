"""3D Gaussians as 3D Gaussian splatting stores them: before activation, one row each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

SH_C0 = 0.28209479177387814  # the constant real spherical harmonic, 1 / (2 √π)
MOST_DEGREE = 3
_BY_COUNT = {(degree + 1) ** 2: degree for degree in range(MOST_DEGREE + 1)}


@dataclass
class Gaussians:
    """Parameters of N Gaussians, float32, in COLMAP's world.

    Attributes:
        means: [N, 3] world units.
        log_scales: [N, 3] natural logarithm of the standard deviations, world units.
        quaternions: [N, 4] rotation of the axes, order w, x, y, z; of any length but 0.
        opacity_logits: [N] opacity = sigmoid of it.
        sh: [N, K, 3] coefficients of real spherical harmonics for red, green, blue, K = 1, 4, 9
            or 16; sRGB colour = 0.5 + Σ sh · basis(direction from camera to Gaussian), cut at 0.

    Source: Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023.
    """

    means: Tensor
    log_scales: Tensor
    quaternions: Tensor
    opacity_logits: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return len(self.means)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """What the parameters are called, in order."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def joined(cls, parts: Sequence[Gaussians]) -> Gaussians:
        """All rows of several sets with equally many coefficients, one after the other."""
        return cls(**{name: torch.cat([getattr(p, name) for p in parts]) for name in cls.names()})

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.means.device

    @property
    def degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return _BY_COUNT[self.sh.shape[1]]

    @property
    def scales(self) -> Tensor:
        """Standard deviations along the own axes, [N, 3], world units."""
        return self.log_scales.exp()

    @property
    def rotations(self) -> Tensor:
        """Unit quaternions (w, x, y, z), [N, 4]."""
        return torch.nn.functional.normalize(self.quaternions, dim=1)

    @property
    def opacities(self) -> Tensor:
        """Opacity at the centre, [N], 0..1."""
        return self.opacity_logits.sigmoid()

    @property
    def base_colors(self) -> Tensor:
        """Colour without dependence on direction, [N, 3] sRGB, not clipped."""
        return 0.5 + SH_C0 * self.sh[:, 0]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Names and parameters, in order."""
        for name in self.names():
            yield name, getattr(self, name)

    def chosen(self, which: Tensor) -> Gaussians:
        """Some of the Gaussians, by number or by a mask."""
        return Gaussians(**{name: tensor[which] for name, tensor in self.tensors()})

    def to(self, device: torch.device | str) -> Gaussians:
        """The same on another device."""
        return Gaussians(**{name: tensor.to(device) for name, tensor in self.tensors()})

    def detached(self) -> Gaussians:
        """A copy that shares no memory and carries no gradient."""
        return Gaussians(**{name: tensor.detach().clone() for name, tensor in self.tensors()})

    def with_degree(self, degree: int) -> Gaussians:
        """The same with another number of coefficients: new ones are 0, others are cut off."""
        count, kept = (degree + 1) ** 2, self.sh.shape[1]
        sh = self.sh[:, :count]
        if count > kept:
            sh = torch.nn.functional.pad(sh, (0, 0, 0, count - kept))
        tensors = dict(self.tensors()) | {"sh": sh.contiguous()}
        return Gaussians(**tensors)

    def is_finite(self) -> bool:
        """Whether every parameter is a number."""
        return all(bool(tensor.isfinite().all()) for _, tensor in self.tensors())


def logit(opacity: float) -> float:
    """The inverse of the sigmoid, for one opacity within 0..1."""
    return math.log(opacity / (1.0 - opacity))
