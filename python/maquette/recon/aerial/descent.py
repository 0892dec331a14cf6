"""The descent: splats of a flight trained on with views ever nearer to the ground.

Each level looks straight down from a share of the flying height, is supervised by real photos that
are warped with the splats' depth, and trains in turn with the photos themselves. It is kept only
where photos that never train lose next to nothing. It adds no detail that no photo has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from maquette.recon.aerial.descent_pruning import Pruning, is_kept
from maquette.recon.aerial.descent_targets import Target
from maquette.recon.splats import strategies
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.losses import photo_loss
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.pictures import Pictures
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.schedule import Schedule

_OWN = 0.05  # weight of the splats' own picture where no photo sees
_BEGUN = 0.5  # of a run's schedule: rates have fallen by then, Gaussians still move

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class DescentOptions:
    """How a level trains.

    Attributes:
        iterations: Of each level, a view or a photo each.
        first_added, last_added: Share of the Gaussians before it that a level may add.
        most_lost_db: What held-out photos may lose for a level to be kept.
    """

    iterations: int = 2000
    first_added: float = 2.0
    last_added: float = 0.75
    most_lost_db: float = 0.1
    pruning: Pruning = field(default_factory=Pruning)
    seed: int = 0

    def added(self, level: int, levels: int) -> float:
        """The share that a level may add."""
        share = level / max(1, levels - 1)
        return self.first_added + share * (self.last_added - self.first_added)


@dataclass(frozen=True)
class Level:
    """What came of a level.

    Attributes:
        lost_db: What held-out photos lost.
        is_kept: Whether that was little enough.
    """

    views: int
    real_share: float
    lost_db: float
    is_kept: bool
    splats: int


def descend(
    splats: Gaussians, targets: Sequence[Target], photos: Pictures, extent: float,
    options: DescentOptions, added: float, sky: Tensor, told: Told = lambda done, total: None,
) -> Gaussians:  # fmt: skip
    """Train one level, in turn with a view of it and with a photo.

    Args:
        extent: Of the scene, world units: rates of the means are in its share.
        added: Share of Gaussians that may be added.
        sky: [3] sRGB behind all.
    """
    draw = torch.Generator(device=splats.device).manual_seed(options.seed)
    near = seen_by(splats, targets)
    splats = splats.chosen(is_kept(splats, near, options.pruning)).detached()
    cap = len(splats) + round(added * int(near.sum()))
    schedule = Schedule(_options(options.iterations, cap, splats.degree), extent)
    strategy = strategies.make("mcmc", schedule, len(splats), draw)
    optimiser, start = SparseAdam(splats), round(_BEGUN * schedule.options.iterations)
    for step in range(options.iterations):
        inputs = {name: t.detach().requires_grad_() for name, t in splats.tensors()}
        if step % 2:
            number = int(torch.randint(len(photos), (1,), generator=draw, device=splats.device))
            picture = photos.get(number)
            camera, wanted, mask = picture.camera, picture.photo, picture.mask
        else:
            number = int(torch.randint(len(targets), (1,), generator=draw, device=splats.device))
            camera, wanted, mask = (
                targets[number].camera, targets[number].color, targets[number].is_real,
            )  # fmt: skip
        shown = render(Gaussians(**inputs), camera)
        color = shown.color + shown.passing * sky[:, None, None]
        loss = photo_loss(color, wanted, mask)
        if not step % 2 and mask is not None:
            loss = loss + _OWN * ((color - wanted).abs() * ~mask).mean()
        assert shown.footprints is not None
        wrong = (color.detach() - wanted).abs().mean(0)
        shown.footprints.score = wrong if mask is None else wrong * mask
        torch.autograd.backward(loss)
        gradients = {
            name: torch.zeros_like(t) if t.grad is None else t.grad for name, t in inputs.items()
        }
        rates = schedule.rates(start + step)
        with torch.no_grad():
            strategy.gradients(splats, gradients)
            optimiser.step(splats, gradients, shown.footprints.touched, rates)
            strategy.look(shown.footprints)
            splats = strategy.after_step(splats, optimiser, start + step + 1, rates.means)
        told(step + 1, options.iterations)
    return splats


def _options(iterations: int, cap: int, degree: int) -> SplatOptions:
    """A run of which the level is the second part."""
    return SplatOptions(iterations=round(iterations / (1 - _BEGUN)), cap=cap, degree=degree)


def seen_by(splats: Gaussians, targets: Sequence[Target]) -> Tensor:
    """Which Gaussians the views show, [N] bool."""
    found = torch.zeros(len(splats), dtype=torch.bool, device=splats.device)
    with torch.no_grad():
        for target in targets:
            footprints = render(splats, target.camera).footprints
            assert footprints is not None
            found |= footprints.visible
    return found


def judged(level: Level, options: DescentOptions) -> Level:
    """The level with the verdict that its loss deserves; NaN loses."""
    return replace(level, is_kept=bool(level.lost_db <= options.most_lost_db))
