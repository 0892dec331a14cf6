"""Depth maps by PatchMatch stereo, from coarse to fine; symbols as in `stacks.py`.

Sources: see `sweeping.py`; coarse to fine as in ACMM, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.mvs.kernels.patch_match import MOST_VIEWS
from maquette.recon.mvs.planar_prior import planar_prior
from maquette.recon.mvs.stacks import GreyView, Stack, pack
from maquette.recon.mvs.sweeping import Effort, State, Window, score, sweep

Floats = NDArray[np.float32]
_PRIOR_STEPS = 64  # of the span of depths: how far from its prior a plane may lie, ACMP, eq. 7
_NEAR_PX = 8.0  # at the coarsest level: so far a sparse point tells of the depth


@dataclass(frozen=True)
class Matching:
    """How depth maps are made.

    Attributes:
        sweeps: At each level, from the coarsest to the picture's own size; each level has twice
            the size of the one before.
        geometric_sweeps: With the source views' depths, at the picture's own size.
        consistency: Weight of a pixel of disagreement with them, beside 1 − correlation.
        sigma_px, sigma_grey: Of the window's weights in space, and in 0 .. 255.
        planar: Planes through well-matched pixels guide where the picture says little.
        seed: Of the random planes.
    """

    sweeps: tuple[int, ...] = (3, 3, 2)
    geometric_sweeps: int = 1
    consistency: float = 0.2
    sigma_px: float = 5.0
    sigma_grey: float = 10.0
    planar: bool = False
    seed: int = 0


@dataclass(frozen=True)
class DepthMap:
    """What is known of the surface that a view sees; zero where nothing is.

    Attributes:
        depth: [H, W] float32 along the camera's +z, world units.
        normals: [H, W, 3] float32, camera axes, unit length, towards the camera.
        costs: [H, W] float32: 1 − correlation, plus the geometric term where there was one.
    """

    depth: Floats
    normals: Floats
    costs: Floats

    def kept(self, keep: NDArray[np.bool_]) -> DepthMap:
        """The map with some pixels [H, W] alone."""
        return DepthMap(self.depth * keep, self.normals * keep[..., None], self.costs * keep)


def estimate(
    reference: GreyView, sources: Sequence[GreyView], span: tuple[float, float],
    points: NDArray[np.floating] | None = None, matching: Matching | None = None,
    device: torch.device | None = None,
) -> DepthMap:  # fmt: skip
    """Make a view's depth map from its picture and those of up to 8 source views.

    Args:
        span: Least and largest depth.
        points: [P, 3] pixel (x, y) and depth of points that the view is known to see: a start.
    """
    matching, device = matching or Matching(), device or torch.device("cpu")
    _check(sources, span)
    generator = torch.Generator().manual_seed(matching.seed)
    window = Window.of(matching.sigma_px, matching.sigma_grey, device)
    state, seed = None, _seeds(matching)
    for level, sweeps in enumerate(matching.sweeps):
        factor = 2 ** (len(matching.sweeps) - 1 - level)
        small = [view.reduced(factor) for view in (reference, *sources)]
        stack = pack(small[0], small[1:], device)
        if state is None:
            state = _start(stack, window, span, _scaled(points, reference, stack), generator)
        else:
            state = _enlarged(state, stack.size)
        trust = (span[1] - span[0]) / _PRIOR_STEPS if level and matching.planar else 0.0
        for turn in range(sweeps):
            effort = replace(_effort(span, factor, turn), prior_depth=trust)
            sweep(stack, window, state, effort, next(seed))
        if matching.planar:
            state.prior = planar_prior(state, stack)
    assert state is not None
    return _depth_map(stack, state)


def refine(
    start: DepthMap, reference: GreyView, sources: Sequence[GreyView],
    span: tuple[float, float], matching: Matching | None = None,
    device: torch.device | None = None,
) -> DepthMap:  # fmt: skip
    """Improve a depth map so that it agrees with the depths of the source views.

    Args:
        sources: With their depths.
        span: Least and largest depth.
    """
    matching, device = matching or Matching(), device or torch.device("cpu")
    _check(sources, span)
    if any(source.depth is None for source in sources):
        raise ValueError("the geometric pass needs a depth map of each source view")
    window = Window.of(matching.sigma_px, matching.sigma_grey, device)
    stack, seed = pack(reference, sources, device), _seeds(matching, first=1_000)
    state = _state_of(start, stack, window)
    for turn in range(matching.geometric_sweeps):
        effort = replace(_effort(span, 1, turn + 1), consistency=matching.consistency)
        sweep(stack, window, state, effort, next(seed))
    return _depth_map(stack, state)


def _check(sources: Sequence[GreyView], span: tuple[float, float]) -> None:
    if not 1 <= len(sources) <= MOST_VIEWS:
        raise ValueError(f"a depth map needs 1 to {MOST_VIEWS} source views, not {len(sources)}")
    if not 0 < span[0] < span[1] < math.inf:
        raise ValueError(f"depths must lie between two positive numbers, not {span}")


def _seeds(matching: Matching, first: int = 0) -> Iterator[int]:
    number = first + 10_000 * (matching.seed % 100_000)
    while True:
        yield number
        number += 1


def _effort(span: tuple[float, float], factor: int, turn: int) -> Effort:
    """Steps shrink with the pixels and with each sweep; the coarsest level tries anything."""
    shrunk = 0.5**turn * min(factor, 4)
    return Effort(
        least=1 / span[1], most=1 / span[0], tries=5 if factor >= 4 else 3,
        depth_step=0.006 * shrunk, normal_step=0.1 * shrunk, limit=0.8 * math.exp(-(turn**2) / 90),
    )  # fmt: skip


def _scaled(
    points: NDArray[np.floating] | None, reference: GreyView, stack: Stack
) -> NDArray[np.floating] | None:
    if points is None or not len(points):
        return None
    (height, width), (tall, wide) = stack.size, reference.image.shape
    return points * [width / wide, height / tall, 1.0]


def _start(
    stack: Stack, window: Window, span: tuple[float, float],
    points: NDArray[np.floating] | None, generator: torch.Generator,
) -> State:  # fmt: skip
    """Planes with random normals, at the nearest sparse point's depth or at a random one."""
    rays = stack.rays()
    height, width = stack.size
    inverse = torch.empty(height, width).uniform_(1 / span[1], 1 / span[0], generator=generator)
    if points is not None:
        inverse = _near_points(inverse, points).clamp(1 / span[1], 1 / span[0])
    normals = torch.randn(height, width, 3, generator=generator)
    normals = torch.nn.functional.normalize(normals, dim=-1) + torch.tensor([0.0, 0.0, 1.5])
    normals, inverse = normals.to(rays.device), inverse.to(rays.device)
    planes = normals * (inverse / (normals * rays).sum(-1).clamp(min=0.1))[..., None]
    planes *= (inverse / (planes * rays).sum(-1))[..., None]
    costs = _best_two(score(stack, window, planes))
    return State(planes, costs, torch.zeros(height, width, dtype=torch.int32, device=rays.device))


def _near_points(inverse: Tensor, points: NDArray[np.floating]) -> Tensor:
    """Put the inverse depth of the nearest point where one is near; every third pixel stays."""
    from scipy.spatial import cKDTree

    height, width = inverse.shape
    y, x = np.mgrid[:height, :width] + 0.5
    away, nearest = cKDTree(points[:, :2]).query(np.stack([x.ravel(), y.ravel()], 1))
    told = (away < _NEAR_PX).reshape(height, width)
    told &= (np.arange(height)[:, None] + np.arange(width)) % 3 != 0
    known = torch.from_numpy((1 / points[nearest, 2]).reshape(height, width)).float()
    return torch.where(torch.from_numpy(told), known, inverse)


def _enlarged(state: State, size: tuple[int, int]) -> State:
    """The state for a larger picture: a plane serves all pixels in its place."""
    rows, columns = (
        torch.arange(new, device=state.costs.device) * old // new
        for new, old in zip(size, state.costs.shape, strict=True)
    )
    parts = (state.planes, state.costs, state.chosen, state.prior)
    larger = (part if part.ndim < 2 else part[rows][:, columns] for part in parts)
    return State(*(part.contiguous() for part in larger))


def _depth_map(stack: Stack, state: State) -> DepthMap:
    rays = stack.rays()
    height, width = stack.size
    used = stack.used[: height * width].view(height, width).bool()
    depth = torch.where(used, 1 / (state.planes * rays).sum(-1), 0.0)
    normals = torch.nn.functional.normalize(-state.planes, dim=-1) * used[..., None]
    parts = (depth, normals, state.costs * used)
    return DepthMap(*(part.cpu().numpy() for part in parts))


def _state_of(found: DepthMap, stack: Stack, window: Window) -> State:
    """A state again; pixels without depth get a plane that all others are better than.

    Costs are measured anew, as files hold none.
    """
    rays, device = stack.rays(), stack.lens.device
    depth = torch.from_numpy(found.depth).to(device)
    normals = -torch.from_numpy(found.normals).to(device)
    known = (depth > 0)[..., None]
    facing = torch.where(known, normals, torch.tensor([0.0, 0.0, 1.0], device=device))
    inverse = 1 / torch.where(depth > 0, depth, depth[depth > 0].median() if known.any() else 1.0)
    planes = facing * (inverse / (facing * rays).sum(-1))[..., None]
    planes = planes.contiguous()
    costs = torch.where(known[..., 0], _best_two(score(stack, window, planes)), 2.0)
    chosen = torch.zeros(depth.shape, dtype=torch.int32, device=device)
    return State(planes, costs, chosen)


def _best_two(costs: Tensor) -> Tensor:
    """Mean cost in the two views that fit best, of costs [H, W, V]."""
    return costs.topk(min(2, costs.shape[-1]), largest=False).values.mean(-1)
