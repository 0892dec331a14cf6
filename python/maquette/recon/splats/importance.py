"""How much each Gaussian counts, and how the least of them are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.rasteriser import render
from maquette.scene.transforms import Frame

_MOST_VIEWS, _LONG_SIDE_PX = 100, 480


def importance(gaussians: Gaussians) -> Tensor:
    """Opacity times the area of the two longer axes, [N]: what it covers where it is seen best.

    Flat Gaussians lie on surfaces, so their volume, which other programs use, would rank the best
    fitted ones last.
    """
    longer = gaussians.log_scales.sort(dim=1).values[:, 1:]
    return gaussians.opacities * longer.sum(dim=1).exp()


def by_importance(gaussians: Gaussians) -> Gaussians:
    """All of them, the most important first, so that a part from the front is a preview."""
    return gaussians.chosen(importance(gaussians).argsort(descending=True, stable=True))


def importance_in(gaussians: Gaussians, frames: Sequence[Frame]) -> Tensor:
    """How many pixels each makes up in the pictures of frames, [N], at 480 pixels of long side.

    Source: Fan et al., "LightGaussian", 2024, equation 3, has such a score; differs: the share in
    which a pixel shows it, its volume not counted.
    """
    step = -(-len(frames) // _MOST_VIEWS)
    found = torch.zeros(len(gaussians), device=gaussians.device)
    for frame in frames[::step]:
        camera, factor = small_camera(frame, gaussians.device)
        grey = torch.zeros(len(gaussians), 1, 3, device=gaussians.device, requires_grad=True)
        drawn = render(replace(gaussians, sh=grey), camera).color[0].sum()
        (slope,) = torch.autograd.grad(drawn, grey)
        found += slope[:, 0, 0] / SH_C0 / factor**2
    return found


def small_camera(frame: Frame, device: torch.device) -> tuple[Camera, float]:
    """The camera of a frame at 480 pixels of long side, and the factor on its sides."""
    lens = frame.intrinsics
    factor = min(1.0, _LONG_SIDE_PX / max(lens.width, lens.height))
    small = lens.scaled(round(lens.width * factor), round(lens.height * factor))
    return Camera.of(replace(frame, intrinsics=small), device), factor


def pruned(gaussians: Gaussians, ratio: float, worth: Tensor | None = None) -> Gaussians:
    """Without the given share, 0..1, of the least important ones; the order stays."""
    return gaussians.chosen(kept_rows(gaussians, ratio, worth))


def kept_rows(gaussians: Gaussians, ratio: float, worth: Tensor | None = None) -> Tensor:
    """Numbers of all but the given share, 0..1, of the least important ones, ascending.

    Args:
        worth: How important each is, [N]; None: `importance`.
    """
    kept = len(gaussians) - round(ratio * len(gaussians))
    worth = importance(gaussians) if worth is None else worth
    best = worth.argsort(descending=True, stable=True)[:kept]
    return torch.sort(best).values
