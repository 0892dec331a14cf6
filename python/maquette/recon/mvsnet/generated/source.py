"""Generated scenes as samples for training, made when they are asked for."""

from __future__ import annotations

import hashlib

import torch

from maquette.recon.mvsnet.generated.layout import Layout, lay_out
from maquette.recon.mvsnet.generated.scenes import GeneratedScene, render
from maquette.recon.mvsnet.samples import Sample

SAMPLES_OF_AN_EPOCH = 1_000_000  # for whoever counts them


class GeneratedScenes:
    """A `SampleSource` without end: each sample is a scene of its own.

    Args:
        size: Width and height of the pictures.
        views: Pictures of a sample, the reference among them.
        device: Where they are rendered, and stay.
    """

    def __init__(
        self, size: tuple[int, int] = (160, 128), views: int = 3, count: int = SAMPLES_OF_AN_EPOCH,
        device: torch.device | None = None,
    ) -> None:  # fmt: skip
        self.size, self.views, self._count = size, views, count
        self._device = device or torch.device("cpu")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        return self.rendered(self.laid_out(place), place)

    def laid_out(self, place: tuple[int, int]) -> Layout:
        """What a sample shows: the part that takes a processor, and can be made elsewhere."""
        return lay_out(scene_seed(place), self.views, self.size[0])

    def rendered(self, layout: Layout, place: tuple[int, int]) -> Sample:
        """The sample of a layout."""
        seed = scene_seed(place)
        return sample_of(render(layout, seed, self.size, device=self._device), f"scene {seed}")


def sample_of(scene: GeneratedScene, name: str, order: tuple[int, ...] | None = None) -> Sample:
    """A scene's views as a sample.

    Args:
        order: Numbers of the views, the reference first; by default all as they are.
    """
    chosen = list(order or range(len(scene.frames)))
    depth = scene.depths[chosen[0]]
    near, far = (float(end) for end in scene.ranges[chosen[0]])
    mask = (depth >= near) & (depth <= far)
    return Sample(
        scene.images[chosen], scene.projections()[chosen].to(depth.device), depth, mask,
        near, far, name,
    )  # fmt: skip


def scene_seed(place: tuple[int, int]) -> int:
    """A seed of 63 bits for an index and a seed."""
    told = hashlib.sha256(f"{place[0]} {place[1]}".encode()).digest()
    return int.from_bytes(told[:8], "big") >> 1
