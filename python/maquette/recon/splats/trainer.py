"""One training run of Gaussians: a photograph in, a better set out, and a state between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.splats import few_views, first, strategies
from maquette.recon.splats.capacity import check_cap
from maquette.recon.splats.corrections import Corrections
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.ground import with_ground
from maquette.recon.splats.judging import HeldOut, measure, write_preview
from maquette.recon.splats.optimiser import SparseAdam
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.photo_gradients import PhotoGradients
from maquette.recon.splats.pictures import Picture, Pictures
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.schedule import Rates, Schedule
from maquette.recon.splats.sparse_depth import SparseDepth
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.trainable import Metrics
from maquette.recon.views.split import split
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_LEAST_SIDE = 64  # pixels: memory is not saved by smaller pictures than this


class SplatTrainer:
    """Gaussians with their optimiser, strategy, schedule and random numbers.

    Attributes:
        iteration: Steps done so far; may go beyond the total, at the last rates.
        photos: Photographs trained with so far, a batch in each step.
        splats: The set as it is.
    """

    metric_names = ("loss", "psnr", "gaussians")

    def __init__(
        self, scene: Scene, group: str, frames: Sequence[Frame], region: Region,
        options: SplatOptions, device: torch.device, limit_bytes: int | None = None,
        processes: ProcessGroup | None = None,
    ) -> None:  # fmt: skip
        self.processes = processes or ProcessGroup()
        check_cap(options.cap, options.degree, device, self.processes.world)
        self.options = replace(options, batch=options.batch or self.processes.world)
        self.device, self.iteration, self.photos = device, 0, 0
        self._scene, self._limit = scene, limit_bytes
        self._shrunk: dict[str, int] = {}  # options that memory did not allow
        self._sphere = region.sphere_digest
        self._frames, judges = split(frames)
        if len(self._frames) < 2:
            raise BadInput(
                f"{len(self._frames)} photograph with a pose: `{scene.root}`",
                hint="at least 2 are needed; add photos and run `make prepare` again",
            )
        centers = np.stack([frame.world_from_cam[:3, 3] for frame in self._frames])
        middle = centers.mean(0)
        extent = 1.1 * float(np.linalg.norm(centers - middle, axis=1).max()) or region.radius
        self.schedule = Schedule(self.options, extent)
        self._pictures = Pictures(scene, self._frames, device, options.long_side, limit_bytes)
        self._pictures.check_masks()
        self._judges = HeldOut(scene, judges or self._frames[:1], device, options.long_side)
        self._generator = torch.Generator(device=device).manual_seed(options.seed)
        self._order: list[int] = []
        self.splats, self.source = self._begin(group, region, torch.from_numpy(middle))
        self.optimiser = SparseAdam(self.splats, self.options.batch)
        self.strategy = strategies.make(
            options.strategy, self.schedule, len(self.splats), self._generator, self.processes
        )
        self.corrections = Corrections(self.options, len(self._frames), device)
        depth = SparseDepth.read(scene, self._frames) if options.depth_weight else None
        self._gradients = PhotoGradients(
            self.corrections, depth, options.depth_weight, extent, options.antialias
        )

    @property
    def total(self) -> int:
        """Steps of the whole run: those done, and those that the photographs left will take."""
        left = self.options.iterations - self.photos
        return self.iteration + -(-left // self.options.batch)

    def _begin(self, group: str, region: Region, middle: Tensor) -> tuple[Gaussians, str]:
        """The first Gaussians, and what they are made of."""
        options = self.options
        shell = self.options.background == "shell"
        room = options.cap - first.shell_size(options.cap) if shell else options.cap
        found = first.choose(self._scene, group, self._frames, region, room, options.seed)
        has_ground = options.background == "ground" or few_views.need(len(self._frames)) > 0
        if has_ground and found.source != "random":
            found = with_ground(found, self._pictures, self._frames, region.radius)
        kept = first.thinned(found.points, room, options.seed)
        splats = first.gaussians_at(found.points[kept], found.colors[kept], 1.0)
        if shell:
            photo = self._pictures.get(0, 0.25).photo
            far = first.shell(
                middle, self.schedule.extent, photo.mean((1, 2)), first.shell_size(options.cap)
            )
            splats = Gaussians.joined([splats, far])
        return splats.to(self.device), found.source

    def step(self) -> Metrics:
        """Train with a batch of photographs, of which each process looks at its share."""
        self._widen()
        views = [self._next_view() for _ in range(self.options.batch)]
        scale = self.schedule.picture_scale(self.photos, self._pictures.long_side)
        inputs = {name: t.detach().requires_grad_() for name, t in self.splats.tensors()}
        dropped = few_views.dropped_share(len(self._frames), self.schedule.share(self.photos))
        kept = few_views.kept_rows(len(self.splats), dropped, self._generator)
        touched = torch.zeros(len(self.splats), dtype=torch.int32, device=self.device)
        values = torch.zeros(2, device=self.device)
        for view in views[self.processes.rank :: self.processes.world]:
            part = few_views.thinned_out(Gaussians(**inputs), kept, dropped)
            picture = self._pictures.get(view, scale)
            weight = self.schedule.normal_weight(self.photos)
            found, footprints = self._gradients.add(part, picture, view, weight)
            values += found
            touched += footprints.touched
            self.strategy.look(footprints)
        self.processes.add(values, touched)
        rates = self.schedule.rates(self.photos)
        self._change_splats(self._averaged(inputs), touched, rates)
        count = torch.full((1,), float(len(self.splats)), device=self.device)
        values = torch.cat([values / len(views), count])
        return Metrics(self.iteration, values, {"lr": rates.means, "scale": scale})

    def _averaged(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean gradients of the batch, of the Gaussians' parameters; also of the corrections."""
        leaves = [*inputs.values(), *self.corrections.learned]
        self.processes.average_gradients(leaves)
        own = self.options.batch // self.processes.world
        for leaf in leaves if own > 1 else []:
            if leaf.grad is not None:
                leaf.grad /= own
        return {
            name: torch.zeros_like(t) if t.grad is None else t.grad for name, t in inputs.items()
        }

    @torch.no_grad()
    def _change_splats(self, gradients: dict[str, Tensor], touched: Tensor, rates: Rates) -> None:
        """One step of every optimiser, and the strategy's turn."""
        self.strategy.gradients(self.splats, gradients)
        self.optimiser.step(self.splats, gradients, touched, rates)
        self.corrections.step(rates)
        self.iteration += 1
        self.photos += self.options.batch
        self.splats = self.strategy.after_step(
            self.splats, self.optimiser, self.photos, rates.means
        )

    def _widen(self) -> None:
        degree = self.schedule.degree(self.photos)
        if degree > self.splats.degree:
            self.splats = self.splats.with_degree(degree)
            self.optimiser.widen((degree + 1) ** 2)

    def _next_view(self) -> int:
        """Every photograph has its turn, in another order each time."""
        if not self._order:
            count = len(self._pictures)
            shuffled = torch.randperm(count, generator=self._generator, device=self.device)
            self._order = shuffled.tolist()
        return self._order.pop()

    def state(self) -> dict[str, Any]:
        return {
            "splats": {name: tensor.clone() for name, tensor in self.splats.tensors()},
            "optimiser": self.optimiser.state(),
            "strategy": self.strategy.state(),
            "corrections": self.corrections.state(),
            "generator": self._generator.get_state(),
            "order": list(self._order),
            "options": asdict(self.options),
            "shrunk": dict(self._shrunk),
            "sphere": self._sphere,  # tells whether a run is of the region that the scene has
            "iteration": self.iteration,
            "photos": self.photos,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.splats = Gaussians(
            **{name: tensor.to(self.device).clone() for name, tensor in state["splats"].items()}
        )
        self.optimiser.restore(state["optimiser"])
        self.strategy.restore(state["strategy"])
        self.corrections.restore(state["corrections"])
        self._generator.set_state(state["generator"].cpu())
        self._order = list(state["order"])
        self._change(**state["shrunk"])
        self.iteration = int(state["iteration"])
        self.photos = int(state.get("photos", self.iteration))

    def shared_tensors(self) -> Iterable[Tensor]:
        """The Gaussians, and what is learned besides."""
        return [*(tensor for _, tensor in self.splats.tensors()), *self.corrections.values]

    def _change(self, **changes: int) -> None:
        """Make options smaller on the way, and what depends on them."""
        self._shrunk |= changes
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]
        self.schedule = replace(self.schedule, options=self.options)
        self.strategy.schedule = self.schedule
        if "long_side" in changes:
            side = self.options.long_side
            self._pictures = Pictures(self._scene, self._frames, self.device, side, self._limit)

    def shrink(self) -> str | None:
        """Halve the cap once it is reached, else the pictures."""
        if len(self.splats) >= self.options.cap and self.options.cap > 1000:
            cap = len(self.splats) // 2
            best = torch.argsort(self.splats.opacities, descending=True)[:cap].sort().values
            self.splats = self.splats.chosen(best)
            self.optimiser.choose(best)
            self.strategy.choose(best)
            self._change(cap=cap)
            return f"at most {cap:,} Gaussians, not {2 * cap:,}"
        side = self._pictures.long_side
        if side // 2 < _LEAST_SIDE:
            return None
        self._change(long_side=side // 2)
        return f"photographs of {side // 2} pixels, not {side}"

    def preview(self, folder: Path) -> Sequence[Path]:
        return write_preview(
            folder / f"iteration_{self.iteration:09}", self.splats, self._judges, self.finished
        )

    def held_out(self) -> dict[str, float]:
        return measure(self.splats, self._judges, self.finished)

    def finished(self, splats: Gaussians, picture: Picture) -> Tensor:
        """What a camera that did not train sees, [3, H, W] sRGB 0..1."""
        shown = render(splats, picture.camera, self.options.antialias)
        return self.corrections.color(shown.color, shown.passing, None).clamp(0.0, 1.0)

    def is_finite(self) -> bool:
        return self.splats.is_finite()
