"""Kernels of PatchMatch stereo, one thread a pixel; the twin is `sweeping.py`, with sources.

The loops are C++ inside Warp kernels, for the CPU and for CUDA. A compiler for the CPU leaves such
loops scalar, so rows of 16 samples are its vector type; in a thread of a GPU a row is one sample.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.mvs.kernels.sweep_source import SWEEP
from maquette.recon.mvs.kernels.window_source import SCORE

if TYPE_CHECKING:
    from maquette.recon.mvs.stacks import Stack
    from maquette.recon.mvs.sweep_state import Effort, State, Window

MOST_VIEWS = 8


def score(stack: "Stack", window: "Window", planes: Tensor) -> Tensor:
    """Photometric cost of planes; see `sweeping.score`."""
    height, width = stack.size
    result = torch.empty(height, width, stack.views, device=planes.device)
    arguments = [
        width, stack.views, *_arrays(stack, window), _flat(planes), _flat(result),
    ]  # fmt: skip
    over_items(_score, height * width, planes.device, arguments)
    return result


def sweep(
    stack: "Stack", window: "Window", state: "State", effort: "Effort", colour: int, seed: int
) -> None:
    """Improve the pixels of one colour in place; see `sweeping.sweep`."""
    height, width = stack.size
    arguments = [
        width, stack.views, colour, *_arrays(stack, window), _flat(state.planes),
        _flat(state.costs), _flat(state.chosen, wp.int32), _flat(stack.depths),
        effort.consistency, effort.least, effort.most, effort.limit, effort.tries,
        effort.depth_step, effort.normal_step, seed, _flat(state.prior), effort.prior_depth,
    ]  # fmt: skip
    over_items(_sweep, height * ((width + 1) // 2), state.costs.device, arguments)


def _arrays(stack: "Stack", window: "Window") -> list[Any]:
    return [
        _flat(stack.texels, wp.uint32), _flat(stack.used, wp.uint8),
        _flat(stack.layout, wp.int32), _flat(stack.cameras), _flat(stack.lens),
        _flat(window.offsets), window.contrast,
    ]  # fmt: skip


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.view(-1), kind)


@wp.func_native(SCORE)
def _score_pixel(
    x: int, y: int, views: int, texels: wp.array(dtype=wp.uint32), used: wp.array(dtype=wp.uint8),
    layout: wp.array(dtype=wp.int32), cameras: wp.array(dtype=wp.float32),
    lens: wp.array(dtype=wp.float32), window: wp.array(dtype=wp.float32), contrast: float,
    planes: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.func_native(SWEEP)
def _sweep_pixel(
    x: int, y: int, views: int, texels: wp.array(dtype=wp.uint32), used: wp.array(dtype=wp.uint8),
    layout: wp.array(dtype=wp.int32), cameras: wp.array(dtype=wp.float32),
    lens: wp.array(dtype=wp.float32), window: wp.array(dtype=wp.float32), contrast: float,
    planes: wp.array(dtype=wp.float32), costs: wp.array(dtype=wp.float32),
    chosen: wp.array(dtype=wp.int32), depths: wp.array(dtype=wp.float32), consistency: float,
    least: float, most: float, limit: float, tries: int, depth_step: float, normal_step: float,
    seed: wp.uint32, prior: wp.array(dtype=wp.float32), prior_depth: float,
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def _score(
    first: int, width: int, views: int, texels: wp.array(dtype=wp.uint32),
    used: wp.array(dtype=wp.uint8), layout: wp.array(dtype=wp.int32),
    cameras: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    window: wp.array(dtype=wp.float32), contrast: float, planes: wp.array(dtype=wp.float32),
    result: wp.array(dtype=wp.float32),
):  # fmt: skip
    n = first + wp.tid()
    _score_pixel(
        n % width, n // width, views, texels, used, layout, cameras, lens, window, contrast,
        planes, result,
    )  # fmt: skip


@wp.kernel(enable_backward=False)
def _sweep(
    first: int, width: int, views: int, colour: int, texels: wp.array(dtype=wp.uint32),
    used: wp.array(dtype=wp.uint8), layout: wp.array(dtype=wp.int32),
    cameras: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    window: wp.array(dtype=wp.float32), contrast: float, planes: wp.array(dtype=wp.float32),
    costs: wp.array(dtype=wp.float32), chosen: wp.array(dtype=wp.int32),
    depths: wp.array(dtype=wp.float32), consistency: float, least: float, most: float,
    limit: float, tries: int, depth_step: float, normal_step: float, seed: wp.uint32,
    prior: wp.array(dtype=wp.float32), prior_depth: float,
):  # fmt: skip
    n = first + wp.tid()
    half = (width + 1) // 2
    y = n // half
    x = 2 * (n % half) + ((y + colour) & 1)
    if x < width:
        _sweep_pixel(
            x, y, views, texels, used, layout, cameras, lens, window, contrast, planes, costs,
            chosen, depths, consistency, least, most, limit, tries, depth_step, normal_step, seed,
            prior, prior_depth,
        )  # fmt: skip
