"""The loop of a training run: iterations, and what is looked after between them."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from maquette.errors import Interrupted, JobFailed
from maquette.recon.stopping import stop_requested
from maquette.recon.surface import previews, states
from maquette.recon.surface.metrics import MetricsLog
from maquette.recon.surface.trainer import Metrics, Trainer, read
from maquette.scene import checkpoints
from maquette.scene.events import Progress

_PREVIEW_AT = (0.25, 0.5, 1.0)
_PREVIEW_S = 180.0
_UNREAD = 20  # iterations whose numbers may stay on a GPU


class Loop:
    """Iterates, and between iterations looks after metrics, checkpoints, previews and the stop."""

    def __init__(
        self,
        trainer: Trainer,
        run: Path,
        save_minutes: float,
        shown: previews.Preview,
        progress: Progress,
    ) -> None:
        self.trainer, self.run, self.shown, self.progress = trainer, run, shown, progress
        self.save_s = save_minutes * 60
        self.total = trainer.config.max_iter
        self.first = trainer.iteration
        self.train_s = 0.0
        self.recent: list[float] = []
        self._unread: list[Metrics] = []
        self.metrics = MetricsLog(run, trainer.iteration)
        self._saved_at = self._shown_at = time.monotonic()
        self._stopping = self._lowered = False

    def run_to_end(self) -> dict[str, float | int]:
        """Iterate until `max_iter`; see `train`."""
        started = time.monotonic()
        while self.trainer.goes_on(self.trainer.iteration < self.total and not self._stopping):
            clock = time.monotonic()
            self._unread.append(self._step())
            if self._reads_now():
                self._read()
            self.train_s += time.monotonic() - clock
            self._tend()
        self.metrics.close()
        if self._stopping and self.trainer.iteration < self.total:
            raise Interrupted(
                f"training stopped at iteration {self.trainer.iteration} and was saved",
                hint="run `make process` again: it continues",
            )
        seconds = time.monotonic() - started
        done = self.trainer.iteration - self.first
        rate = done / max(self.train_s, 1e-9)
        return {
            "iterations": self.trainer.iteration,
            "psnr": round(sum(self.recent) / max(len(self.recent), 1), 3),
            "it_per_s": round(rate, 3),
            "rays_per_s": round(rate * self.trainer.rays * self.trainer.processes.world),
            "seconds": round(seconds, 2),
        }

    def _reads_now(self) -> bool:
        """Reading waits for a GPU, which has nothing to do meanwhile: now and then is enough."""
        every = min(self.trainer.config.logging_iter, _UNREAD)
        iteration = self.trainer.iteration
        return self.trainer.is_prompt or iteration % every == 0 or iteration == self.total

    def _read(self) -> None:
        for metrics, found in zip(self._unread, read(self._unread), strict=True):
            self._note(metrics.iteration, found)
        self._unread.clear()

    def _step(self) -> Metrics:
        """One iteration; when memory does not suffice, once more with half the rays."""
        try:
            return self.trainer.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self._lowered or self.trainer.processes.world > 1:
                raise out_of_memory(self.trainer.rays) from error
        self._lowered = True  # outside the handler: it keeps the failed iteration's tensors alive
        if self.trainer.device.type == "cuda":
            torch.cuda.empty_cache()
        before, rays = self.trainer.rays, self.trainer.halve_rays()
        self.progress.warn(f"out of memory: going on with {rays} rays an iteration, not {before}")
        return self._step()

    def _note(self, iteration: int, metrics: dict[str, float]) -> None:
        self.recent = [*self.recent, metrics["psnr"]][-20:]
        speed = (iteration - self.first) / max(self.train_s, 1e-9)
        smooth = sum(self.recent) / len(self.recent)
        self.progress.step(
            "training", iteration, self.total,
            loss=round(metrics["loss"], 5), psnr=round(smooth, 2), its=round(speed, 2),
        )  # fmt: skip
        if iteration % self.trainer.config.logging_iter == 0 or iteration == self.total:
            self.metrics.write(iteration, {**metrics, "psnr": smooth, "it_per_s": speed})

    def _tend(self) -> None:
        iteration, every = self.trainer.iteration, self.trainer.config.checkpoint.save_iter
        ended = iteration == self.total
        marks = {max(1, round(self.total * share)) for share in _PREVIEW_AT}
        if iteration in marks or time.monotonic() - self._shown_at >= _PREVIEW_S:
            self.shown.write(self.trainer)
            self._shown_at = time.monotonic()
        due = time.monotonic() - self._saved_at >= self.save_s
        self._stopping = stop_requested() and not ended
        if ended or due or self._stopping or (every and iteration % every == 0):
            self._save(ended)

    def _save(self, ended: bool) -> None:
        trainer = self.trainer
        if self._unread:
            self._read()
        name = checkpoints.checkpoint_name(trainer.epoch, trainer.iteration)
        if ended and name not in trainer.finals:
            trainer.finals.append(name)
        state = trainer.state()
        if not all(bool(torch.isfinite(p).all()) for p in trainer.model.parameters()):
            raise JobFailed(
                f"training diverged: parameters are not numbers at iteration {trainer.iteration}",
                detail="the last good checkpoint stays",
                hint="try again with a lower rate, e.g. OVERRIDES='optim.params.lr=0.001'",
            )
        states.save(self.run, state, trainer.config.checkpoint.keep)
        self._saved_at = time.monotonic()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the memory of a GPU or (a plain RuntimeError of torch) of the machine ran out."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def out_of_memory(rays: int) -> JobFailed:
    """The error of a machine that is too small for the configuration."""
    return JobFailed(
        f"training ran out of memory, also with {rays} rays an iteration",
        detail="the last good checkpoint stays",
        hint="a smaller model needs FRESH=1: try PRESET=preview, or for a GPU of 8, 12 or 16 GB "
        "PRESET=full-8gb, full-12gb or full-16gb",
    )
