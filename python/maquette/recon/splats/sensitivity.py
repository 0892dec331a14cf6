"""How much pictures change when a number of a Gaussian does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import small_camera
from maquette.recon.splats.rasteriser import render
from maquette.scene.transforms import Frame

_MOST_VIEWS = 40
_COVERED = 0.9  # of a pixel, for it to count
_LEAST_SPREAD = 1e-3  # of opacity · (1 - opacity)


@dataclass(frozen=True)
class Sensitivity:
    """Growth of the mean squared error of pictures by the squared change of a number, [N] each.

    Where a Gaussian has several such numbers, the mean of these. Errors are of sRGB 0..1, over
    all channels of the pixels that Gaussians cover.

    Attributes:
        means: By world units; `log_scales`, `quaternions` and `opacities` by what they are.
        colors: By coefficients of degree 0; `directions` by those of degree 1 and more.
        error: Mean squared error of the pictures as they are, against photographs.
    """

    means: Tensor
    log_scales: Tensor
    quaternions: Tensor
    opacities: Tensor
    colors: Tensor
    directions: Tensor
    error: float

    def by_name(self) -> dict[str, Tensor]:
        """The sensitivities, [N] each."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "error"}

    def chosen(self, rows: Tensor) -> Sensitivity:
        """Of some of the Gaussians."""
        chosen = {name: tensor[rows] for name, tensor in self.by_name().items()}
        return Sensitivity(**chosen, error=self.error)

    def to(self, device: torch.device | str) -> Sensitivity:
        """The same on another device."""
        moved = {name: tensor.to(device) for name, tensor in self.by_name().items()}
        return Sensitivity(**moved, error=self.error)

    def scaled(self, factor: float) -> Sensitivity:
        """In units `factor` times smaller."""
        return replace(self, means=self.means / factor**2)


def sensitivity_in(
    gaussians: Gaussians, frames: Sequence[Frame], error: float, seed: int = 0
) -> Sensitivity:
    """Estimate it for the pictures of at most 40 frames, at 480 pixels of long side.

    The derivative of a picture's sum with random signs is, squared, on the mean the sum of squares
    of all pixels' derivatives.

    Source: Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990.
    """
    draw = torch.Generator(device=gaussians.device).manual_seed(seed)
    squares = {name: torch.zeros_like(tensor) for name, tensor in gaussians.tensors()}
    pixels = 0.0
    for frame in frames[:: -(-len(frames) // _MOST_VIEWS)]:
        camera = small_camera(frame, gaussians.device)[0]
        inputs = {name: t.detach().requires_grad_() for name, t in gaussians.tensors()}
        shown = render(Gaussians(**inputs), camera)
        signs, counted = _signs(shown.passing, draw)
        found = torch.autograd.grad(shown.color, list(inputs.values()), signs)
        for square, slope in zip(squares.values(), found, strict=True):
            square += slope.square()
        pixels += counted
    return _of(gaussians, {n: t / max(1.0, 3 * pixels) for n, t in squares.items()}, error)


def _signs(passing: Tensor, draw: torch.Generator) -> tuple[Tensor, float]:
    """1 or -1 by chance [3, H, W], 0 where the picture is not covered; and how many pixels are."""
    covered = (1 - passing.detach()) > _COVERED
    random = torch.randint(2, (3, *passing.shape), generator=draw, device=passing.device)
    return (2.0 * random - 1.0) * covered, float(covered.sum())


def _of(gaussians: Gaussians, squares: dict[str, Tensor], error: float) -> Sensitivity:
    opacities = gaussians.opacities.detach()
    spread = (opacities * (1 - opacities)).clamp_min(_LEAST_SPREAD)
    sh = squares["sh"]
    later = sh[:, 1:].mean(dim=(1, 2)) if sh.shape[1] > 1 else torch.zeros_like(opacities)
    return Sensitivity(
        means=squares["means"].mean(1), log_scales=squares["log_scales"].mean(1),
        quaternions=squares["quaternions"].sum(1) / 3,  # along their length nothing changes
        opacities=squares["opacity_logits"] / spread**2, colors=sh[:, 0].mean(1),
        directions=later, error=error,
    )  # fmt: skip
