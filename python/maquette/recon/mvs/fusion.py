"""Keep what several depth maps agree on, and fuse it to points; see `agreement.py` for sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from maquette.recon.mvs.agreement import Agreement, MapStack, compare, medians
from maquette.recon.mvs.patch_match import DepthMap
from maquette.scene.transforms import Frame

__all__ = ["Agreement", "Points", "Taken", "filter_map", "fuse", "is_speckle"]

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
Taken = dict[int, NDArray[np.uint8]]  # by view, in bits: pixels that are part of a point


@dataclass(frozen=True)
class Points:
    """Fused points, world frame.

    Attributes:
        points, normals: [N, 3] float32; normals of length 1, out of the surface.
        colors: [N, 3] uint8.
        views: [N, K] int32, numbers of the views that see each point, −1 where fewer do.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.uint8]
    views: NDArray[np.int32]

    def chosen(self, which: Bools) -> Points:
        """Some of the points."""
        return Points(
            self.points[which], self.normals[which], self.colors[which], self.views[which]
        )


def filter_map(
    found: DepthMap, frame: Frame, sources: Sequence[tuple[DepthMap, Frame]],
    agreement: Agreement | None = None, device: torch.device | None = None,
) -> DepthMap:  # fmt: skip
    """Keep the pixels that enough source views agree with, and no speckles."""
    agreement = agreement or Agreement()
    agreeing = compare(MapStack.of(found, frame, sources, device), agreement)
    enough = (agreeing >= 0).sum(0) >= agreement.views
    kept = found.kept(enough.cpu().numpy().reshape(found.depth.shape))
    return kept.kept(~is_speckle(kept.depth, agreement.speckle_px, 2 * agreement.depth))


def is_speckle(depth: Floats, size_px: int, step: float) -> Bools:
    """Which pixels [H, W] lie in a small region whose edges are steps of depth, or have none."""
    number = np.arange(depth.size).reshape(depth.shape)
    ends = []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = depth[one], depth[other]
        joined = (a > 0) & (b > 0) & (np.abs(a - b) <= step * np.minimum(a, b))
        ends.append(np.stack([number[one][joined], number[other][joined]]))
    first, second = np.concatenate(ends, axis=1)
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), (depth.size,) * 2)
    _, region = connected_components(graph, directed=False)
    sizes = np.bincount(region)
    return (sizes[region].reshape(depth.shape) < size_px) | (depth <= 0)


def fuse(
    frames: Sequence[Frame], pairs: Sequence[Sequence[int]],
    read_map: Callable[[int], DepthMap], read_image: Callable[[int], NDArray[np.uint8]],
    agreement: Agreement | None = None, views: Sequence[int] | None = None,
    device: torch.device | None = None, start: int = 0, taken: Taken | None = None,
) -> Iterator[Points]:  # fmt: skip
    """Fuse depth maps view by view: the maps of one view and its sources are held at a time.

    Args:
        frames: Cameras of the maps' sizes.
        pairs: The source views of each view.
        read_map, read_image: By view; images [H, W, 3] of the map's size.
        views: Those that have a map; by default all.
        start: The first of `views` to fuse; `taken` is what it was after the one before.
        taken: Is kept up to date: what the next view has to know of the earlier ones.

    Yields:
        The points of each view that no earlier one gave.
    """
    agreement, device = agreement or Agreement(), device or torch.device("cpu")
    taken = {} if taken is None else taken
    order = list(range(len(frames)) if views is None else views)
    last = {number: step for step, view in enumerate(order) for number in (view, *pairs[view])}
    for step, view in list(enumerate(order))[start:]:
        for number in [number for number in taken if last[number] < step]:
            del taken[number]
        numbers = [view, *pairs[view]]
        maps = [read_map(number) for number in numbers]
        sources = [(m, frames[number]) for m, number in zip(maps[1:], numbers[1:], strict=True)]
        stack = MapStack.of(maps[0], frames[view], sources, device)
        at = compare(stack, agreement)
        own, *others = [
            _unpacked(taken.get(number), found.depth.size).to(device)
            for number, found in zip(numbers, maps, strict=True)
        ]
        for row, busy in zip(at, others, strict=True):
            row[busy[row.clamp(min=0).long()]] = -1
        complete = (at >= 0).sum(0) >= agreement.views
        complete &= ~own & (stack.depth[: len(complete)] > 0)
        chosen = complete.nonzero()[:, 0]
        members = at[:, chosen]
        own[chosen] = True
        for row, busy in zip(members, others, strict=True):
            busy[row[row >= 0].long()] = True
        taken.update(
            (number, np.packbits(busy.cpu().numpy()))
            for number, busy in zip(numbers, (own, *others), strict=True)
        )
        colors = [read_image(number).reshape(-1, 3) for number in numbers]
        joined = medians(
            stack, torch.from_numpy(np.concatenate(colors)).to(device), at, chosen.int()
        )
        yield _points(joined.cpu().numpy(), members.cpu().numpy(), numbers)


def _unpacked(bits: NDArray[np.uint8] | None, count: int) -> torch.Tensor:
    if bits is None:
        return torch.zeros(count, dtype=torch.bool)
    return torch.from_numpy(np.unpackbits(bits, count=count).astype(bool))


def _points(
    values: NDArray[np.float32], members: NDArray[np.int32], numbers: Sequence[int]
) -> Points:
    """Points of medians [N, 9] and of the pixels [V, N] of the source views that agree."""
    normals = values[:, 3:6] / np.linalg.norm(values[:, 3:6], axis=1, keepdims=True).clip(1e-9)
    sources = np.where(members >= 0, np.array(numbers[1:], np.int32)[:, None], -1)
    views = np.concatenate([np.full((1, len(values)), numbers[0], np.int32), sources]).T
    return Points(
        values[:, :3].copy(), normals, np.rint(values[:, 6:]).astype(np.uint8),
        np.ascontiguousarray(views, np.int32),
    )  # fmt: skip
