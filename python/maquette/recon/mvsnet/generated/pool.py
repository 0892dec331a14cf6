"""Generated scenes that are kept on disk and shown several times, each time otherwise.

Rendering a scene takes a processor about as long as a network takes to learn from it. A scene that
is kept comes again with another reference and other sources, other exposure, blur and noise, its
colours exchanged and mirrored, so that pictures are hardly ever the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.mvsnet.generated.layout import lay_out
from maquette.recon.mvsnet.generated.scenes import shown, undegraded
from maquette.recon.mvsnet.generated.source import SAMPLES_OF_AN_EPOCH, sample_of, scene_seed
from maquette.recon.mvsnet.samples import Sample
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing

_FIRST = 256  # samples that are scenes of their own, before any is shown again
_MORE_VIEWS = 2  # of a scene than of a sample
Kept = dict[str, NDArray[Any]]


class PooledScenes:
    """A `SampleSource` whose scenes lie in a folder, which grows as samples are asked for.

    The same index and seed give the same sample, whatever the folder holds already: a scene that
    is missing, or damaged, is rendered when it is asked for.

    Args:
        folder: Of the scenes; several runs may share it.
        size: Width and height of the pictures.
        views: Pictures of a sample, the reference among them.
        reuse: Samples for each new scene.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int] = (160, 128), views: int = 3, reuse: int = 16
    ) -> None:
        self.size, self.views, self.reuse = size, views, reuse
        self._folder = folder / f"{size[0]}x{size[1]}x{views + _MORE_VIEWS}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return SAMPLES_OF_AN_EPOCH

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        random = np.random.default_rng([scene_seed(place), 13])
        number = self.scene_of(place)
        kept = self._kept(number, place[1])
        chosen = _views(kept["poses"], self.views, random)
        colors = torch.from_numpy(kept["colors"][chosen]).float().div(255).square()
        colors = colors[:, torch.from_numpy(random.permutation(3))]
        depths = torch.from_numpy(kept["depths"][chosen])
        scene = shown(colors, depths, kept["poses"][chosen], float(kept["focal"]), random)
        across, down = random.random(2) < 0.5
        return _mirrored(sample_of(scene, f"scene {number}"), across, down)

    def scene_of(self, place: tuple[int, int]) -> int:
        """The number of a sample's scene: a new one, or any of those before it."""
        index, seed = place
        count = self._count(index)
        if self._count(index + 1) > count:
            return count
        return int(np.random.default_rng([scene_seed((index, seed)), 17]).integers(count))

    def _count(self, index: int) -> int:
        """Scenes there are before the sample of an index."""
        return min(index, _FIRST) + index // self.reuse

    def _kept(self, number: int, seed: int) -> Kept:
        path = self._folder / f"{seed}-{number:06d}.npz"
        try:
            with np.load(path) as stored:
                return dict(stored)
        except NOT_READABLE:
            kept = self._rendered(number, seed)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **kept)  # type: ignore[arg-type]
        return kept

    def _rendered(self, number: int, seed: int) -> Kept:
        layout = lay_out(scene_seed((number, seed)), self.views + _MORE_VIEWS, self.size[0])
        colors, depths = undegraded(layout, self.size)
        # A byte of the root keeps dark colours as finely as a picture does.
        rooted = (colors.clamp(0, 1).sqrt() * 255).round().byte()
        return {"colors": rooted.numpy(), "depths": depths.numpy(), "poses": layout.poses,
                "focal": np.array(layout.focal)}  # fmt: skip


def _views(
    poses: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """A reference and `count` - 1 sources, in any order, not those that look most otherwise."""
    reference = int(random.integers(len(poses)))
    ahead = poses[:, :3, 2]
    order = np.argsort(-(ahead @ ahead[reference]), kind="stable")
    sources = order[order != reference][:count]
    return np.concatenate([[reference], random.permutation(sources)[: count - 1]])


def _mirrored(sample: Sample, across: bool, down: bool) -> Sample:
    """A sample seen in a mirror, left for right, top for bottom or both; depths stay."""
    axes = [axis for axis, is_wanted in ((-1, across), (-2, down)) if is_wanted]
    height, width = sample.depth.shape
    turn = torch.eye(4)
    if across:
        turn[0, 0], turn[0, 2] = -1.0, width
    if down:
        turn[1, 1], turn[1, 2] = -1.0, height
    images, depth, mask = (
        _flipped(one, axes) for one in (sample.images, sample.depth, sample.mask)
    )
    return replace(
        sample, images=images, depth=depth, mask=mask, projections=turn @ sample.projections
    )


def _flipped(values: Tensor, axes: list[int]) -> Tensor:
    return values.flip(axes) if axes else values
