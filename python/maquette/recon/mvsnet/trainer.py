"""One training run of a network: samples in, a better network out, and a state between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maquette.errors import ConfigError
from maquette.recon.mvsnet import losses, networks, optimizers, pretrained
from maquette.recon.mvsnet.judging import Judge, write_best
from maquette.recon.mvsnet.layers import synchronised
from maquette.recon.mvsnet.loading import Loader
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch, SampleSource
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.trainable import Metrics


class DepthTrainer:
    """A network with its optimiser and its place in the data.

    Args:
        training, validation: Data; without validation nothing is held out.
        folder: Of the run, for the best network so far.
    """

    metric_names = ("loss", *losses.METRICS)

    def __init__(
        self, options: TrainingOptions, training: SampleSource, validation: SampleSource | None,
        device: torch.device, processes: ProcessGroup, folder: Path,
    ) -> None:  # fmt: skip
        self.options, self.device, self.iteration = options, device, 0
        self._processes, self._folder = processes, folder
        torch.manual_seed(options.seed)
        self.network = _on_device(options, device, processes)
        self.optimizer = optimizers.make(options.rates, self.network.parameters())
        self._loader = Loader(
            training, options.batch_size, options.seed, processes.rank, processes.world
        )
        self._judge = Judge(validation, device, processes, options.val_samples)
        self._parts = 1  # of a batch, one after the other, where memory is short
        self.validated: dict[str, float] = {}
        self.best: dict[str, float] = {}

    @property
    def total(self) -> int:
        return self.options.iterations or self.options.num_epochs * self._loader.steps

    def step(self) -> Metrics:
        """Train with one batch; at the end of an epoch, look at the validation data."""
        self.network.train()
        batch = self._loader.batch(self.iteration, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        parts = min(self._parts, len(batch.images))
        found = [self._backward(part, parts) for part in _split(batch, parts)]
        self._processes.average_gradients(self.network.parameters())
        rate = self._set_rate()
        self.optimizer.step()
        self.iteration += 1
        known = {"lr": rate, "epoch": self.iteration / self._loader.steps}
        is_looked_at = self.iteration % self._loader.steps == 0 or self.iteration == self.total
        if is_looked_at and self._judge.has_samples:
            self._validate()
            known |= {f"held_out_{name}": value for name, value in self.validated.items()}
        values = torch.stack(found).mean(0)
        return Metrics(self.iteration, values, known, is_kept=is_looked_at)

    def _backward(self, batch: Batch, parts: int) -> Tensor:
        """Add the gradients of a part of a batch; what it measured, in the order of the names."""
        prediction = self.predict(batch)
        loss = losses.smooth_l1(prediction, batch)
        torch.autograd.backward(loss / parts)
        rows = losses.measured(prediction.depth.detach(), batch).nanmean(0)
        return torch.cat([loss.detach()[None], rows])

    def predict(self, batch: Batch) -> Prediction:
        """What the network says of a batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.use_amp):
            found: Prediction = self.network(batch.images, batch.projections, batch.depth_range)
        return found

    def _set_rate(self) -> float:
        steps = self._loader.steps
        rate = self.options.rates.rate((self.iteration + 0.5) / steps, self.total / steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _validate(self) -> None:
        """Measure the validation data, and keep the network if it never did better."""
        self.network.eval()
        self.validated = self._judge.measure(self.predict)
        if self.validated["loss"] < self.best.get("loss", float("inf")):
            self.best = {"loss": self.validated["loss"], "iteration": self.iteration}
            if self._processes.rank == 0:
                write_best(self._folder, self.network, self.options, self.best)

    def state(self) -> dict[str, Any]:
        return {
            "network": {name: t.clone() for name, t in self.network.state_dict().items()},
            "optimiser": self.optimizer.state_dict(),
            "options": self.options.to_mapping(),
            "parts": self._parts,
            "validated": dict(self.validated),
            "best": dict(self.best),
            "epoch": self.iteration // self._loader.steps,
            "iteration": self.iteration,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimiser"])
        self._parts = int(state["parts"])
        self.validated, self.best = dict(state["validated"]), dict(state["best"])
        self.iteration = int(state["iteration"])

    def shared_tensors(self) -> Iterable[Tensor]:
        return list(self.network.state_dict().values())

    def shrink(self) -> str | None:
        """Keep no activations of the 3-D part; then halve the part of a batch that is at work."""
        network = self.options.network
        if not network.recomputes:
            network = replace(network, recomputes=True)
            self.options = replace(self.options, network=network)
            self.network.options = network  # type: ignore[assignment]
            return "activations computed again in the backward pass, not kept"
        if self._parts >= self.options.batch_size:
            return None
        self._parts *= 2
        return f"a {self._parts}th of a batch at once"

    def preview(self, folder: Path) -> Sequence[Path]:
        self.network.eval()
        batch = self._judge.shown() or self._loader.batch(0, self.device)
        path = folder / f"iteration_{self.iteration:09}.png"
        return self._judge.write_strip(path, batch, self.predict)

    def held_out(self) -> dict[str, float]:
        return {name: round(value, 5) for name, value in self.validated.items()}

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.network.parameters())

    def sentences(self) -> Sequence[str]:
        count = sum(parameter.numel() for parameter in self.network.parameters())
        return [
            f"network {self.options.variant}, {count:,} parameters, "
            f"{self._loader.steps:,} iterations an epoch of {len(self._loader.source):,} samples"
        ]

    def settings(self) -> dict[str, Any]:
        return {"max_iter": self.total, **self.options.to_mapping()}


def _on_device(
    options: TrainingOptions, device: torch.device, processes: ProcessGroup
) -> nn.Module:
    """The network to begin with.

    Raises:
        ConfigError: normalising over all GPUs, without GPUs.
    """
    network = networks.build(options.variant, options.network)
    if options.ckpt_path:
        pretrained.start_from(network, Path(options.ckpt_path), options.prefixes_to_ignore)
    if options.use_syncbn and processes.world > 1:
        if device.type != "cuda":
            raise ConfigError(
                "USE_SYNCBN=1 normalises over several GPUs, but no GPU was found",
                hint="leave USE_SYNCBN out on a CPU",
            )
        network = synchronised(network)
    return network.to(device)


def _split(batch: Batch, parts: int) -> list[Batch]:
    """Parts of a batch."""
    if parts == 1:
        return [batch]
    tensors = {name: value.chunk(parts) for name, value in vars(batch).items() if name != "names"}
    count = len(tensors["images"])
    return [
        Batch(names=batch.names, **{name: value[index] for name, value in tensors.items()})
        for index in range(count)
    ]
