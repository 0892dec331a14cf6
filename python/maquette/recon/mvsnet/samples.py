"""What trains and measures a network: pictures around a reference, and its true depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from maquette.recon.mvsnet.cloud_errors import Truth

RANGE_MM = 510.0  # of depths in DTU's data: 425 to 935 mm


@dataclass(frozen=True)
class Sample:
    """A reference picture with its neighbours.

    Attributes:
        images: [V, 3, H, W] float32, sRGB 0..1, the reference first.
        projections: [V, 4, 4] float32, world to pixel at full size: K·[R|t] with the last row
            0 0 0 1; the centre of the first pixel is (0.5, 0.5).
        depth: [h, w] float32 of the reference, along its +z, in the cameras' unit; 0 = unknown.
            h divides H: entry (y, x) is that of the pixel (y·H/h, x·W/w).
        mask: [h, w] bool, where `depth` counts.
        near, far: The range of depths to search, both included.
        name: For people: scan, view and light, or a scene's photo.
        unit: The length that metrics call 1 mm: 1 of DTU's data, a 2.5th of the interval that
            other data's cameras name; 0: a 510th of the range, which is the same for DTU's.
        scan: What its depth map is fused with to one cloud, by name; empty: with none.
    """

    images: Tensor
    projections: Tensor
    depth: Tensor
    mask: Tensor
    near: float
    far: float
    name: str
    unit: float = 0.0
    scan: str = ""

    @property
    def millimetre(self) -> float:
        """The length that metrics call 1 mm."""
        return self.unit or (self.far - self.near) / RANGE_MM


class SampleSource(Protocol):
    """A data set, or a generator of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        """A sample by its index and a seed, which decides all that is random about it.

        The same pair gives the same sample, in any process and order.
        """
        ...


@runtime_checkable
class SupportsTruth(Protocol):
    """A source that knows the surface of a scan better than its depth maps tell it."""

    def truth(self, scan: str) -> Truth | None:
        """What a scan's cloud is measured against; None: the true depth maps."""
        ...


@dataclass(frozen=True)
class Batch:
    """Samples of equal sizes, stacked: each of the tensors has B as its first dimension.

    Attributes:
        depth_range: [B, 2] float32, near and far.
        unit: [B] float32, the length that metrics call 1 mm.
    """

    images: Tensor
    projections: Tensor
    depth: Tensor
    mask: Tensor
    depth_range: Tensor
    unit: Tensor
    names: tuple[str, ...]

    @classmethod
    def stacked(cls, samples: list[Sample], device: torch.device) -> Batch:
        """Put samples together on a device."""
        ranges = torch.tensor([[sample.near, sample.far] for sample in samples])
        return cls(
            torch.stack([sample.images for sample in samples]).to(device),
            torch.stack([sample.projections for sample in samples]).to(device),
            torch.stack([sample.depth for sample in samples]).to(device),
            torch.stack([sample.mask for sample in samples]).to(device),
            ranges.to(device),
            torch.tensor([sample.millimetre for sample in samples], device=device),
            tuple(sample.name for sample in samples),
        )
