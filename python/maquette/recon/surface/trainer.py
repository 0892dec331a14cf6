"""One training run: batches in, parameters out, state that can be saved and restored exactly."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from maquette.recon.gpus import has_bfloat16
from maquette.recon.surface import losses, states
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.fitting import fit, free_points
from maquette.recon.surface.model import Phase, SurfaceModel
from maquette.recon.surface.optimizer import clear_gradients, optimizer_of
from maquette.recon.surface.previews import Preview
from maquette.recon.surface.schedule import Schedule
from maquette.recon.surface.surface_points import SurfacePoints
from maquette.recon.surface.trained import TrainedSurface
from maquette.recon.training import failures
from maquette.recon.training.configuration import to_mapping
from maquette.recon.training.draws import Draws
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.random_state import random_state, restore_random_state
from maquette.recon.training.replay import Replay
from maquette.recon.training.trainable import Metrics
from maquette.scene.region import Region

LOWER_RATE = "OVERRIDES='optim.params.lr=0.001'"

Kind = tuple[int, bool, int]  # active levels, whether the shape stands still, rays


class Trainer:
    """The model with its optimiser, schedule and random numbers; a `Trainable`.

    Attributes:
        iteration: Iterations done so far.
        rays: Rays of one iteration in this process.
        is_prompt: Results are there when a call returns: nothing is gained by not looking.
    """

    metric_names = ("loss", "render", "eikonal", "curvature", "psnr", "s")

    def __init__(
        self,
        config: TrainingConfig,
        dataset: PixelDataset,
        region: Region,
        device: torch.device,
        seed: int,
        points: SurfacePoints | None = None,
        processes: ProcessGroup | None = None,
        shown: Preview | None = None,
    ) -> None:
        self.shown = shown
        self.processes = processes or ProcessGroup()
        self.config, self.dataset, self.region, self.device = config, dataset, region, device
        self.points = points
        self.schedule = Schedule(config, points is not None and points.reliance.is_whole)
        self.inside_out = config.model.object.sdf.mlp.inside_out
        start = torch.Generator().manual_seed(seed)
        self.model = SurfaceModel(config.model, len(dataset), start).to(device)
        self.sampler = torch.Generator(device=device).manual_seed(seed + 1)
        self.draws = Draws(self.sampler, self.processes.rank, self.processes.world)
        self.rays = self.processes.share_of(config.model.render.rand_rays, "model.render.rand_rays")
        self.optimizer = optimizer_of(self.model, config)
        self.iteration = 0
        self.is_prompt = device.type == "cpu"
        self._dials = torch.zeros(3, device=device)  # floor, freedom, the points' weight
        self._not_finite = torch.zeros((), device=device)
        if device.type == "cuda":
            self.optimizer.found_inf = self._not_finite  # type: ignore[attr-defined]
        graphs = config.trainer.cuda_graphs and self.processes.world == 1
        self._replay = Replay(self._differentiate, device, self.sampler, graphs)
        self._reached = Phase(1)  # a longer schedule never takes levels away again

    @property
    def total(self) -> int:
        return self.config.max_iter

    @property
    def phase(self) -> Phase:
        """Levels and sharpness floor of the coming iteration."""
        active = max(self.schedule.active_levels(self.iteration), self._reached.active)
        floor = self.schedule.sharpness_floor(self.iteration, self.points is not None)
        freedom = 1.0 if self.points is None else self.schedule.freedom(self.iteration)
        return Phase(active, max(floor, self._reached.sharpness_floor), freedom)

    @property
    def epoch(self) -> int:
        """Passes over the photographs, two at a time, as upstream counts them."""
        return self.iteration // max(1, -(-len(self.dataset) // 2))

    def prepare(self) -> None:
        """Bring a new model's surface to the points, and fill its sampling cache."""
        if self.points is not None and self.config.trainer.loss_weight.landmark > 0:
            alone = Draws(self.sampler)  # every process does the same
            rays = self.rays * self.processes.world
            self._reached = fit(self.model.sdf, self.points, self.config, alone, rays)
        self.model.cache.rebuild(lambda points: self.model.distance(points, self.phase))

    def shrink(self) -> str | None:
        """Train with half the rays from now on, to need less memory."""
        before = self.rays
        if before < 2:
            return None
        self.rays = before // 2
        self._replay.forget()
        self.optimizer.zero_grad(set_to_none=True)
        return f"{self.rays} rays an iteration, not {before}"

    def step(self) -> Metrics:
        """Do one iteration; a GPU may still be busy with it when this returns.

        When the loss is not a number, the parameters stay as they were before this iteration.

        Raises:
            JobFailed: so it is; on a GPU only `read` tells.
        """
        phase = self.phase
        rate = self.schedule.rate(self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * rate
        stands = self._hold_shape()
        dials = (phase.sharpness_floor, phase.freedom, self._points_weight())
        for dial, value in zip(self._dials, dials, strict=True):
            dial.fill_(value)
        values = self._replay.run((phase.active, stands, self.rays))
        self.processes.largest(self._not_finite)
        if self.is_prompt and self._not_finite > 0:
            raise failures.diverged(self.iteration, LOWER_RATE)
        self.processes.average_gradients(p for p in self.model.parameters() if p.requires_grad)
        self.optimizer.step()
        if not stands:
            self.model.cache.refresh(
                lambda points: self.model.distance(points, phase), self.iteration
            )
        self._reached = phase
        self.iteration += 1
        self.dataset.advance(self.iteration, self.config.max_iter)
        values[0] = torch.where(self._not_finite > 0, torch.nan, values[0])  # of any process
        rate = self.optimizer.param_groups[0]["lr"]
        return Metrics(self.iteration, values, {"lr": rate, "active_levels": phase.active})

    def _differentiate(self, kind: Kind) -> torch.Tensor:
        """Draw a batch and leave the gradient of its loss; returns the values of `Metrics`.

        Only tensors on the device decide anything here besides `kind`, so that on a GPU the whole
        can be recorded and replayed.
        """
        active, stands, rays = kind
        phase = Phase(active, self._dials[0], self._dials[1])
        model, weight = self.model, self.config.trainer.loss_weight
        clear_gradients(self.model)
        focus = 0.0 if self.inside_out or stands else self.config.data.train.focus
        batch = self.dataset.draw(rays, self.draws, focus)
        points = None if stands else free_points(self.draws, rays)
        with self._mixed_precision():
            shaded = model.shade(batch.rays, batch.image, phase, self.draws, points, self._fixed)
        mean = (
            self.processes.mean if shaded.counts is None else partial(losses.mean_of, shaded.counts)
        )
        terms = losses.combine(
            shaded.rgb, batch.colors, shaded.probe, weight, self._smoothing(phase), mean
        )
        if stands:
            total = weight.render * losses.squared_difference(shaded.rgb, batch.colors)
        else:
            total = terms.total + weight.veil * shaded.veil.mean() + self._points_term(phase)
            if batch.is_sky is not None:
                total = total + weight.sky * losses.hidden_sky(shaded.opacity, batch.is_sky)
        total.backward()  # type: ignore[no-untyped-call]
        self._not_finite.copy_(~torch.isfinite(total.detach()))
        return torch.stack(
            [
                total.detach(), terms.render.detach(), terms.eikonal.detach(),
                terms.curvature.detach(), losses.psnr(shaded.rgb.detach(), batch.colors),
                model.sharpness(phase).detach(),
            ]
        )  # fmt: skip

    @property
    def _fixed(self) -> bool:
        """Whether shapes are the same each time: dear, unless waiting for the device is dearer."""
        return not self.is_prompt and self.processes.world == 1

    def state(self) -> dict[str, Any]:
        """Everything that decides the rest of the run."""
        return {
            "model": self.model.state_dict(),
            "optim": self.optimizer.state_dict(),
            "sched": {"rate": self.schedule.rate(self.iteration)},
            "phase": {
                "active": self._reached.active,
                "sharpness_floor": self._reached.sharpness_floor,
            },
            "random": random_state(self.sampler),
            "epoch": self.epoch,
            "region": states.region_to(self.region),
            "settings": to_mapping(self.config),
            "images": len(self.dataset),
            "views": self.dataset.state(),
            "rays": self.rays,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state that fits, with a dataset that was made to continue it too."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optim"])
        restore_random_state(state["random"], self.sampler)
        self.iteration = state["iteration"]
        if state["settings"]["model"]["render"]["rand_rays"] == self.config.model.render.rand_rays:
            self.rays = min(self.rays, state["rays"])  # it may have been halved for want of memory
        self._reached = Phase(state["phase"]["active"], state["phase"]["sharpness_floor"])

    def shared_tensors(self) -> Iterable[torch.Tensor]:
        """Parameters and buffers of the model."""
        return self.model.state_dict().values()

    def sentences(self) -> list[str]:
        """The schedule, and what holds the surface."""
        told = [self.schedule.describe()]
        if self.points is not None:
            told.append(f"held by {self.points.described}")
        return told

    def settings(self) -> dict[str, Any]:
        """The configuration in the nested form of D2."""
        return to_mapping(self.config)

    def preview(self, folder: Path) -> list[Path]:
        """Photo, render and normals of a view side by side, and a coarse mesh."""
        return [] if self.shown is None else self.shown.write(self._surface(), folder)

    def held_out(self) -> dict[str, float]:
        """Mean PSNR in dB of some held-out views, at reduced size."""
        psnr = None if self.shown is None else self.shown.psnr(self._surface())
        return {} if psnr is None else {"psnr": psnr}

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.model.parameters())

    def _surface(self) -> TrainedSurface:
        return TrainedSurface(self.model, self.phase, self.region, self.iteration)

    def _hold_shape(self) -> bool:
        """Let the coming iteration change the shape, or colours only; says whether only these."""
        stands = self.schedule.shape_stands(self.iteration)
        self.model.sdf.requires_grad_(not stands)
        self.model.variance.requires_grad_(not stands)
        if self.iteration == self.schedule.shape_iterations:
            self.model.cache.rebuild(lambda points: self.model.distance(points, self.phase))
        return stands

    def _mixed_precision(self) -> torch.autocast:
        """Networks in bfloat16 where they can be; the distance field itself stays in float32."""
        enabled = self.config.trainer.amp_config.enabled and has_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _points_weight(self) -> float:
        """Falls to a rest while the shape changes."""
        if self.points is None:
            return 0.0
        left = max(0.0, 1.0 - 2.0 * self.iteration / self.schedule.shape_iterations)
        reliance = self.points.reliance
        share = max(left**2, reliance.rest)
        return share * reliance.weight * self.config.trainer.loss_weight.landmark

    def _points_term(self, phase: Phase) -> torch.Tensor | float:
        if self.points is None or self.config.trainer.loss_weight.landmark <= 0:
            return 0.0
        count = max(1, round(self.rays * self.points.reliance.per_ray))
        return self._dials[2] * self.points.loss(
            lambda points: self.model.distance(points, phase), count, self.draws
        )

    def _smoothing(self, phase: Phase) -> float:
        """Curvature's factor: falls with the cell as levels join (Neuralangelo section 3.3)."""
        grid = self.model.sdf.grid
        start = min(
            self.config.model.object.sdf.encoding.coarse2fine.init_active_level, grid.levels
        )
        return grid.cell_size(phase.active) / grid.cell_size(start)
