"""The kernels of dense stereo beside their twins: see `maquette.recon.kernel_checks`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from maquette.recon.kernel_checks import Case
from maquette.recon.mvs.agreement import Agreement, MapStack, compare, medians
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.stacks import GreyView, Stack, pack
from maquette.recon.mvs.sweeping import Effort, State, Window, score, sweep
from maquette.scene.transforms import Frame, Intrinsics

_SIZES = ((24, 17), (160, 121))
_EFFORT = Effort(least=0.4, most=0.9, tries=5, depth_step=0.05, normal_step=0.3, consistency=0.2)


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """Costs of random planes, what a sweep makes of them, and where depth maps agree."""
    for width, height in _SIZES[:1] if quick else _SIZES:
        yield from _cases(width, height, device)
        yield from _joining(width, height, device)


def make_kernels() -> Iterator[str]:
    """Use each kernel once, on the CPU."""
    for case in _cases(8, 8, torch.device("cpu")):
        case.fast()
    yield "PatchMatch stereo"
    for case in _joining(8, 8, torch.device("cpu")):
        case.fast()
    yield "fusion of depth maps"


def _cases(width: int, height: int, device: torch.device) -> Iterator[Case]:
    stack, state = _plane_before_three_cameras(width, height, device)
    window = Window.of(5.0, 10.0, device)
    size = f"{width} × {height} pixels, {stack.views} source views"
    pixels = width * height * stack.views * 4
    fast, slow = (partial(score, stack, window, state.planes, fast) for fast in (True, False))
    yield Case("PatchMatch costs", size, fast, slow, 5e-3, 2 * pixels)
    fast, slow = (partial(_swept, stack, window, state, fast) for fast in (True, False))
    yield Case("PatchMatch sweep", size, fast, slow, 2e-2, 14 * pixels)
    guided = replace(_EFFORT, consistency=0.0, prior_depth=0.02)
    state.prior = torch.zeros_like(state.planes)
    state.prior[..., 2] = 1 / 1.6
    state.prior[: height // 3] = 0.0
    fast, slow = (partial(_swept, stack, window, state, fast, guided) for fast in (True, False))
    yield Case("PatchMatch sweep, planar prior", size, fast, slow, 2e-2, 15 * pixels)


def _joining(width: int, height: int, device: torch.device) -> Iterator[Case]:
    """Noisy maps of the plane z = 1.6; those of two source views are partly wrong or empty."""
    lens = Intrinsics(width, height, 1.1 * width, 1.1 * width, width / 2, height / 2)
    random = np.random.default_rng(0)
    maps, frames = [], []
    for number, shift in enumerate((0.0, -0.2, 0.25)):
        pose = np.eye(4)
        pose[0, 3] = shift
        frames.append(Frame(f"{number}.png", pose, lens))
        depth = 1.6 + random.normal(0, 0.01, (height, width))
        depth[random.random(depth.shape) < 0.2] = 0.0
        normals = random.normal(0, 0.2, (height, width, 3)) - [0, 0, 1]
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        maps.append(DepthMap(np.float32(depth), np.float32(normals), np.zeros_like(depth)))
    stack = MapStack.of(maps[0], frames[0], list(zip(maps[1:], frames[1:], strict=True)), device)
    size = f"{width} × {height} pixels, {stack.views} source views"
    pixels = width * height * (1 + stack.views)
    fast, slow = (partial(_agreeing, stack, fast) for fast in (True, False))
    yield Case("agreement of depth maps", size, fast, slow, 1e-2, 16 * pixels)
    at = compare(stack, Agreement(), fast=False)
    colors = torch.from_numpy(random.integers(0, 256, (pixels, 3)).astype(np.uint8)).to(device)
    chosen = stack.depth[: width * height].nonzero()[:, 0].int()
    fast, slow = (partial(medians, stack, colors, at, chosen, fast) for fast in (True, False))
    yield Case("fusion of depth maps", size, fast, slow, 1e-5, 19 * pixels + 36 * len(chosen))


def _agreeing(stack: MapStack, fast: bool) -> Tensor:
    """How many pixels of each view agree, and the sum of their numbers: rounding decides some."""
    at = compare(stack, Agreement(), fast).double()
    return torch.cat([(at >= 0).double().sum(1) * at.shape[1], at.clamp(min=0).mean(1)])


def _swept(
    stack: Stack, window: Window, state: State, fast: bool, effort: Effort = _EFFORT
) -> Tensor:
    """Mean cost and mean planes: rounding decides between two planes as cheap as one another."""
    own = State(state.planes.clone(), state.costs.clone(), state.chosen.clone(), state.prior)
    sweep(stack, window, own, effort, seed=5, fast=fast)
    return torch.cat([own.costs.mean()[None], own.planes.mean((0, 1))])


def _plane_before_three_cameras(
    width: int, height: int, device: torch.device
) -> tuple[Stack, State]:
    """A picture on the plane z = 1.6, seen by cameras side by side; some pixels are masked."""
    lens = Intrinsics(width, height, 1.1 * width, 1.1 * width, width / 2, height / 2)
    random = np.random.default_rng(0)
    waves = random.uniform(5, 40, (12, 2)), random.uniform(0, 6, 12)
    views = []
    for number, shift in enumerate((0.0, -0.2, 0.25)):
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        place = np.stack([(x - lens.cx) / lens.fl_x * 1.6 + shift, (y - lens.cy) / lens.fl_y * 1.6])
        image = np.sin(np.tensordot(waves[0], place, 1) + waves[1][:, None, None]).sum(0)
        pose = np.eye(4)
        pose[0, 3] = shift
        mask = np.ones(image.shape, bool)
        mask[: height // 4, : width // 4] = number == 2
        grey = np.clip(127 + 25 * image, 0, 255).astype(np.uint8)
        depth = np.full(image.shape, 1.6, np.float32)
        views.append(GreyView(Frame(f"{number}.png", pose, lens), grey, mask, depth))
    generator = torch.Generator().manual_seed(0)
    stack = pack(views[0], views[1:], device)
    inverse = torch.rand(height, width, generator=generator) * 0.5 + 0.4
    normals = torch.rand(height, width, 3, generator=generator) - 0.5
    normals[..., 2] = 1.0
    rays = stack.rays().cpu()
    planes = normals * (inverse / (normals * rays).sum(-1))[..., None]
    costs = torch.rand(height, width, generator=generator)
    chosen = torch.randint(0, 4, (height, width), generator=generator).int()
    return stack, State(planes.to(device), costs.to(device), chosen.to(device))
