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

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from maquette.recon.mvs.kernels import patch_match as kernels
from maquette.recon.mvs.stacks import Stack

UNSEEN = 2.0  # the highest photometric cost: a view does not see the place
_FLAT = 0.5  # grey levels squared: windows with less variance say nothing
_CAP_PX = 3.0
_BAD, _SPREAD = 1.2, 0.3
_PRIOR_FLOOR, _PRIOR_COST, _PRIOR_DEG = 0.5, 0.18, 5.0  # ACMP's gamma, alpha, lambda
_AXES = ((1, 0), (-1, 0), (0, 1), (0, -1))


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


def score(stack: Stack, window: Window, planes: Tensor, fast: bool = True) -> Tensor:
    """Photometric cost of the planes [H, W, 3] in each source view, [H, W, V] in 0 .. 2.

    The cost is 1 − the bilaterally weighted normalised cross-correlation.
    """
    if fast:
        return kernels.score(stack, window, planes)
    height, width = stack.size
    at = torch.arange(height * width, device=planes.device)
    reference = _Reference(stack, window, at % width, at // width)
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


class _Reference:
    """Windows around pixels x, y [N] of the reference view, to be matched."""

    def __init__(self, stack: Stack, window: Window, x: Tensor, y: Tensor) -> None:
        self.stack, self.window, self.x, self.y = stack, window, x, y
        height, width = stack.size
        right, down, away = window.offsets
        i = (x[:, None] + right.long()).clamp(0, width - 1)  # [N, 32]
        j = (y[:, None] + down.long()).clamp(0, height - 1)
        self.middle = (stack.texels[y * width + x] & 255).float()[:, None]
        value = (stack.texels[j * width + i] & 255).float() - self.middle
        weight = torch.exp(-(value.square() * window.contrast + away).clamp(max=20.0))
        weight = weight * stack.used[j * width + i]
        self.weight = weight / weight.sum(1, keepdim=True)
        mean = (self.weight * value).sum(1, keepdim=True)
        self.value = value - mean
        self.variance = (self.weight * self.value.square()).sum(1)
        fl_x, fl_y, cx, cy = stack.lens
        self.rays = torch.stack(
            [(x + 0.5 - cx) / fl_x, (y + 0.5 - cy) / fl_y, torch.ones_like(x)], 1
        )

    def match(self, view: int, planes: Tensor) -> Tensor:
        """Photometric cost of planes [N, 3], [N]."""
        camera = self.stack.cameras[view]
        start, across, along = self.stack.layout[view + 1].tolist()
        homography = camera[:9].reshape(3, 3) + camera[9:12, None] * planes[:, None]  # [N, 3, 3]
        q = (homography @ self.rays[..., None])[..., 0]  # [N, 3]
        u, v = q[:, 0] / q[:, 2], q[:, 1] / q[:, 2]
        seen = (q[:, 2] > 0) & (u > 0) & (v > 0) & (u < across) & (v < along)
        at = torch.where(seen, v.long() * across + u.long(), 0)
        seen &= self.stack.used[start + at].bool()
        step = self.window.offsets[:2] / self.stack.lens[:2, None]  # [2, 32]
        samples = q[..., None] + homography[..., :2] @ step  # [N, 3, 32]
        z = torch.maximum(samples[:, 2], 0.1 * q[:, 2:])
        u = (samples[:, 0] / z - 0.5).clamp(0, across - 1)
        v = (samples[:, 1] / z - 0.5).clamp(0, along - 1)
        value = self._interpolate(start, across, u, v) - self.middle
        mean = (self.weight * value).sum(1, keepdim=True)
        variance = (self.weight * (value - mean).square()).sum(1)
        common = (self.weight * self.value * value).sum(1)
        cost = 1 - common / (self.variance * variance).sqrt()
        seen &= (self.variance > _FLAT) & (variance > _FLAT)
        return torch.where(seen, cost.clamp(0, UNSEEN), UNSEEN)

    def _interpolate(self, start: int, across: int, u: Tensor, v: Tensor) -> Tensor:
        four = self.stack.texels[start + v.nan_to_num().long() * across + u.nan_to_num().long()]
        a, b, c, d = ((four >> shift & 255).float() for shift in (0, 8, 16, 24))
        s, t = u - u.floor(), v - v.floor()
        top, bottom = a + s * (b - a), c + s * (d - c)
        return top + t * (bottom - top)

    def disagreement(self, view: int, planes: Tensor) -> Tensor:
        """How far the depth that a source view has there lands from the pixels, [N] pixels.

        Source: ACMM, section 4.2: the error forward and backward, at most 3 pixels.
        """
        camera, depths = self.stack.cameras[view], self.stack.depths
        start, across, along = self.stack.layout[view + 1].tolist()
        inverse = (planes * self.rays).sum(1, keepdim=True)
        q = self.rays @ camera[:9].reshape(3, 3).T + inverse * camera[9:12]
        u, v = q[:, 0] / q[:, 2], q[:, 1] / q[:, 2]
        seen = (q[:, 2] > 0) & (u > 0) & (v > 0) & (u < across) & (v < along)
        at = torch.where(seen, v.long() * across + u.long(), 0)
        depth = depths[start + at]
        pixel = torch.stack([u, v, torch.ones_like(u)], 1)
        p = depth[:, None] * (pixel @ camera[12:21].reshape(3, 3).T) + camera[21:24]
        off_x, off_y = p[:, 0] / p[:, 2] - self.x - 0.5, p[:, 1] / p[:, 2] - self.y - 0.5
        error = torch.hypot(off_x, off_y).nan_to_num(_CAP_PX).clamp(max=_CAP_PX)
        return torch.where(seen & (depth > 0), error, _CAP_PX)


def _sweep(
    stack: Stack, window: Window, state: State, effort: Effort, colour: int, seed: int
) -> None:
    height, width = stack.size
    numbers = torch.arange(height * width, device=stack.used.device)
    mine = ((numbers % width + numbers // width) & 1) == colour
    numbers = numbers[mine & stack.used[: height * width].bool()]
    x, y = numbers % width, numbers // width
    reference = _Reference(stack, window, x, y)
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
    draws = _Draws(numbers, seed)
    for turn in range(effort.tries):
        attempt(*_change(kept, reference.rays, effort, turn, draws))
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
    stack: Stack, state: State, effort: Effort, reference: _Reference
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


def _change(
    kept: Tensor, rays: Tensor, effort: Effort, turn: int, draws: _Draws
) -> tuple[Tensor, Tensor]:
    """Planes [N, 3] with another depth, normal or both, and which are allowed, [N]."""
    inverse = (kept * rays).sum(1)
    normal = kept / kept.norm(dim=1, keepdim=True)
    if turn == 3:
        inverse = effort.least + (0.5 + 0.5 * draws.next()) * (effort.most - effort.least)
    elif turn != 1:
        inverse = inverse * (1 + effort.depth_step * draws.next())
    if turn == 4:
        normal = torch.stack([draws.next() for _ in range(3)], 1)
    elif turn != 0:
        steps = torch.stack([draws.next() for _ in range(3)], 1)
        normal = normal + effort.normal_step * steps
    toward = (normal * rays).sum(1)
    if turn == 4:
        normal, toward = normal * toward.sign()[:, None], toward.abs()
    allowed = (inverse >= effort.least) & (inverse <= effort.most)
    allowed &= toward >= 0.1 * normal.norm(dim=1)
    return normal * (inverse / toward)[:, None], allowed


class _Draws:
    """Uniform numbers in −1 .. 1 for pixels, each from its own sequence.

    Source: M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms
    for Random Number Generation", 2014: PCG-RXS-M-XS with 32 bits.
    """

    def __init__(self, numbers: Tensor, seed: int) -> None:
        self._state = _low(numbers * 2654435761) ^ _low(
            torch.tensor(seed * 805459861, device=numbers.device)
        )

    def next(self) -> Tensor:
        self._state = _low(self._state * 747796405 + 2891336453)
        word = _low(((self._state >> ((self._state >> 28) + 4)) ^ self._state) * 277803737)
        word = (word >> 22) ^ word
        return (word >> 8).float() * (2.0 / 2**24) - 1.0


def _low(numbers: Tensor) -> Tensor:
    return numbers & 0xFFFFFFFF
