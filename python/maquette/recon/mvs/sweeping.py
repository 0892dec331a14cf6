"""One sweep of PatchMatch stereo over the pixels of one colour of a checkerboard.

This is the plain twin of `kernels/patch_match.py`, which is used; symbols as in `stacks.py`.

A pixel tries the planes of eight areas around it, all of the other colour, weighs the source views
by how well they fit them, keeps the cheapest plane, and then tries changes of it.

Sources: the plane's homography and the bilateral correlation: J. Schönberger et al., "Pixelwise
View Selection for Unstructured Multi-View Stereo", ECCV 2016, sections 3 and 4.3; red and black
pixels in turns: S. Galliani et al., "Massively Parallel Multiview Stereopsis by Surface Normal
Diffusion" (Gipuma), ICCV 2015; areas, weights of views and the geometric term: Q. Xu and W. Tao,
"Multi-Scale Geometric Consistency Guided Multi-View Stereo" (ACMH, ACMM), CVPR 2019, sections 3
and 4; how a planar prior judges costs: Q. Xu and W. Tao, "Planar Prior Assisted PatchMatch
Multi-View Stereo" (ACMP), AAAI 2020, eq. 4 to 9. Differs: weights are used as they are, where ACMM
draws views by them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from maquette.recon.mvs.kernels import patch_match as kernels
from maquette.recon.mvs.plane_changes import Draws, change
from maquette.recon.mvs.reference_windows import ReferenceWindows
from maquette.recon.mvs.stacks import Stack
from maquette.recon.mvs.sweep_state import Effort, State, Window

__all__ = ["Effort", "State", "Window", "score", "sweep"]

_BAD, _SPREAD = 1.2, 0.3
_PRIOR_FLOOR, _PRIOR_COST, _PRIOR_DEG = 0.5, 0.18, 5.0  # ACMP's gamma, alpha, lambda
_AXES = ((1, 0), (-1, 0), (0, 1), (0, -1))


def score(stack: Stack, window: Window, planes: Tensor, fast: bool = True) -> Tensor:
    """Photometric cost of the planes [H, W, 3] in each source view, [H, W, V] in 0 .. 2.

    The cost is 1 − the bilaterally weighted normalised cross-correlation.
    """
    if fast:
        return kernels.score(stack, window, planes)
    height, width = stack.size
    at = torch.arange(height * width, device=planes.device)
    reference = ReferenceWindows(stack, window, at % width, at // width)
    costs = [reference.match(view, planes.reshape(-1, 3)) for view in range(stack.views)]
    return torch.stack(costs, dim=-1).reshape(height, width, -1)


def sweep(
    stack: Stack, window: Window, state: State, effort: Effort, seed: int, fast: bool = True
) -> None:
    """Improve all pixels, first those of one colour of the checkerboard, then the others.

    Args:
        seed: 0 .. 2³¹; the same gives the same result, whatever the number of threads.
    """
    for colour in (0, 1):
        if fast:
            kernels.sweep(stack, window, state, effort, colour, 2 * seed + colour)
        else:
            _sweep(stack, window, state, effort, colour, 2 * seed + colour)


def _sweep(
    stack: Stack, window: Window, state: State, effort: Effort, colour: int, seed: int
) -> None:
    height, width = stack.size
    numbers = torch.arange(height * width, device=stack.used.device)
    mine = ((numbers % width + numbers // width) & 1) == colour
    numbers = numbers[mine & stack.used[: height * width].bool()]
    x, y = numbers % width, numbers // width
    reference = ReferenceWindows(stack, window, x, y)
    candidates, valid = _candidates(stack, state, effort, reference)  # [9, N, 3], [9, N]
    views = range(stack.views)
    photometric = torch.stack([
        torch.stack([reference.match(view, planes) for view in views], -1) for planes in candidates
    ])  # [9, N, V]  # fmt: skip
    prior = _prior(stack, state, x, y)
    share = _shares(photometric, valid, prior, effort.limit)

    def cost_of(planes: Tensor) -> Tensor:
        total = torch.zeros(len(planes), device=planes.device)
        for view in views:
            cost = reference.match(view, planes)
            if effort.consistency > 0:
                cost = cost + effort.consistency * reference.disagreement(view, planes)
            total += share[:, view] * cost
        return total

    prior_plane = state.prior[y, x] if effort.prior_depth > 0 else torch.zeros_like(candidates[0])
    judge = _Judge(prior_plane, reference.rays, effort)
    costs = torch.stack([cost_of(planes) for planes in candidates]).where(valid, torch.inf)
    judged = torch.stack([judge(*pair) for pair in zip(costs, candidates, strict=True)])
    least, choice = judged.min(0)
    kept = candidates[choice, torch.arange(len(x))]
    best = costs[choice, torch.arange(len(x))]

    def attempt(planes: Tensor, allowed: Tensor) -> None:
        nonlocal least, kept, best
        cost = cost_of(planes).where(allowed, torch.inf)
        value = judge(cost, planes)
        better = value < least
        least, best = torch.where(better, value, least), torch.where(better, cost, best)
        kept = torch.where(better[:, None], planes, kept)

    if effort.prior_depth > 0:
        attempt(prior_plane, judge.guided)
    draws = Draws(numbers, seed)
    for turn in range(effort.tries):
        attempt(*change(kept, reference.rays, effort, turn, draws))
    state.planes.view(-1, 3)[numbers] = kept
    state.costs.view(-1)[numbers] = best
    bits = 1 << torch.arange(stack.views, device=x.device)
    worth = share > 0.3 * share.amax(1, keepdim=True)
    state.chosen.view(-1)[numbers] = (worth * bits).sum(1).int()


class _Judge:
    """Costs with the planar prior of pixels, [N]: the square root of −2 α² log of the posterior."""

    def __init__(self, prior: Tensor, rays: Tensor, effort: Effort) -> None:
        self._prior, self._rays, self._effort = prior, rays, effort
        self._inverse = (prior * rays).sum(1)
        self.guided = (self._inverse >= effort.least) & (self._inverse <= effort.most)
        self.guided &= effort.prior_depth > 0

    def __call__(self, costs: Tensor, planes: Tensor) -> Tensor:
        off = 1 / (planes * self._rays).sum(1) - 1 / self._inverse
        cosine = torch.nn.functional.cosine_similarity(planes, self._prior, dim=1)
        turned = 2 * (1 - cosine) / np.radians(_PRIOR_DEG) ** 2
        near = (off / max(self._effort.prior_depth, 1e-30)).square()
        fit = torch.exp(-0.5 * (near + turned))
        penalty = 2 * _PRIOR_COST**2 * torch.log((_PRIOR_FLOOR + 1) / (_PRIOR_FLOOR + fit))
        return torch.where(self.guided, (costs.square() + penalty).sqrt(), costs)


def _area(turn: int, strip: bool) -> list[tuple[int, int]]:
    """Offsets of an area: a strip along an axis, or a V that opens along it."""
    ahead = [(out, 0) for out in range(3, 25, 2)] if strip else [(1, 0)]
    if not strip:
        ahead += [(out, side) for out in (2, 3, 4) for side in (out - 1, 1 - out)]
    right, down = _AXES[turn]
    return [(o * right + s * abs(down), o * down + s * abs(right)) for o, s in ahead]


def _candidates(
    stack: Stack, state: State, effort: Effort, reference: ReferenceWindows
) -> tuple[Tensor, Tensor]:
    """The pixels' planes, then the cheapest of each area: [9, N, 3], and which count, [9, N]."""
    height, width = stack.size
    x, y = reference.x, reference.y
    planes = [state.planes[y, x]]
    valid = [torch.ones_like(x, dtype=torch.bool)]
    for area in range(8):
        best = torch.full(x.shape, 1.9, device=x.device)
        found = torch.zeros_like(x)
        for right, down in _area(area & 3, area >= 4):
            i, j = x + right, y + down
            inside = (i >= 0) & (j >= 0) & (i < width) & (j < height)
            at = torch.where(inside, j * width + i, 0)
            cost = state.costs.view(-1)[at]
            better = inside & stack.used[at].bool() & (cost < best)
            best, found = torch.where(better, cost, best), torch.where(better, at, found)
        plane = state.planes.view(-1, 3)[found]
        inverse = (plane * reference.rays).sum(1)
        known = torch.zeros_like(x, dtype=torch.bool)
        for other, is_valid in zip(planes, valid, strict=True):
            known |= is_valid & (plane[:, :2] == other[:, :2]).all(1)
        fits = (inverse >= effort.least) & (inverse <= effort.most)
        planes.append(plane)
        valid.append((best < 1.9) & fits & ~known)
    return torch.stack(planes), torch.stack(valid)


def _prior(stack: Stack, state: State, x: Tensor, y: Tensor) -> Tensor:
    """How often the four neighbours chose each view: 0.9 where one did, else 0.1, [N, V]."""
    height, width = stack.size
    total = torch.zeros(len(x), stack.views, device=x.device)
    for right, down in _AXES:
        i, j = x + right, y + down
        inside = (i >= 0) & (j >= 0) & (i < width) & (j < height)
        chosen = state.chosen[j.clamp(0, height - 1), i.clamp(0, width - 1)]
        for view in range(stack.views):
            total[:, view] += torch.where((chosen >> view & 1).bool(), 0.9, 0.1) * inside
    return total


def _shares(photometric: Tensor, valid: Tensor, prior: Tensor, limit: float) -> Tensor:
    """Weights of the views, [N, V], from their costs [9, N, V]; they sum to 1.

    Source: ACMM, section 3.2: a view counts when more than a third of the candidates are good
    in it and less than a third bad, by the mean of exp(−cost²/(2 · 0.3²)) of the good ones.
    """
    counted = valid[..., None]
    good = counted & (photometric < limit)
    bad = (counted & (photometric > _BAD)).sum(0)
    confidence = torch.exp(-photometric.square() / (2 * _SPREAD**2)).where(good, 0.0).sum(0)
    count = valid.sum(0)[:, None]
    fits = (3 * good.sum(0) > count) & (3 * bad < count + 1)
    share = torch.where(fits, prior * confidence / good.sum(0).clamp(min=1), 0.0)
    none = share.sum(1) <= 0
    least = photometric.where(counted, torch.inf).amin(0)  # [N, V]
    for _ in range(2):
        view = least.argmin(1)
        share[none, view[none]] = 0.5
        least[torch.arange(len(least)), view] = torch.inf
    return share / share.sum(1, keepdim=True)
