"""The loop of a training run: iterations, and what is looked after between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from maquette.errors import Interrupted
from maquette.recon.stopping import stop_requested
from maquette.recon.training import checkpoint_files, failures
from maquette.recon.training.metrics import MetricsLog, MetricsWriter
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.trainable import Method, Metrics, Trainable, read
from maquette.scene.events import Progress

PREVIEWS = "previews"
_PREVIEW_AT = (0.25, 0.5, 1.0)
_PREVIEW_S = 180.0
_UNREAD = 20  # iterations whose numbers may stay on a GPU
_SMOOTHED, _SMOOTHED_OVER = "psnr", 20  # differs much between batches


class Loop:
    """Iterates, and between iterations looks after metrics, checkpoints, previews and the stop.

    Args:
        finals: Names of the checkpoints that ended an earlier part of this run.
        writers: Where metrics go besides the run's own files.
    """

    def __init__(
        self,
        trainable: Trainable,
        method: Method,
        run: Path,
        options: RunOptions,
        progress: Progress,
        processes: ProcessGroup | None = None,
        finals: Sequence[str] = (),
        writers: Sequence[MetricsWriter] = (),
    ) -> None:
        self.trainable, self.method, self.run = trainable, method, run
        self.options, self.progress = options, progress
        self.processes, self.finals = processes or ProcessGroup(), list(finals)
        self.first = trainable.iteration
        self.train_s = 0.0
        self.recent: list[float] = []
        self._unread: list[Metrics] = []
        self.metrics = MetricsLog(run, trainable.iteration, writers, method.has_pictures)
        self._saved_at = self._shown_at = time.monotonic()
        self._stopping = False
        self._shrunk: str | None = None  # what was made smaller for want of memory

    def run_to_end(self) -> dict[str, float | int]:
        """Iterate until `total`; see `runs.train`."""
        started, succeeded = time.monotonic(), False
        try:
            self._iterate()
            seconds = time.monotonic() - started
            held_out = self._measure(writes=self.trainable.iteration > self.first)
            succeeded = True
        except Interrupted:
            succeeded = True
            raise
        finally:
            self.metrics.close(succeeded)
        rate = (self.trainable.iteration - self.first) / max(self.train_s, 1e-9)
        return {
            "iterations": self.trainable.iteration,
            **self._smooth(3),
            "it_per_s": round(rate, 3),
            "seconds": round(seconds, 2),
            **held_out,
        }

    def _iterate(self) -> None:
        while self._goes_on():
            clock = time.monotonic()
            self._unread.append(self._step())
            if self._reads_now():
                self._read()
            self.train_s += time.monotonic() - clock
            self._tend()
        if self._stopping and self.trainable.iteration < self.trainable.total:
            raise Interrupted(
                f"training stopped at iteration {self.trainable.iteration} and was saved",
                hint="run `make process` again: it continues",
            )

    def _goes_on(self) -> bool:
        """Whether all processes do another iteration: the leader's wish decides."""
        wanted = self.trainable.iteration < self.trainable.total and not self._stopping
        return self.processes.agree(wanted, self.trainable.device)

    def _reads_now(self) -> bool:
        """Reading waits for a GPU, which has nothing to do meanwhile: now and then is enough."""
        every, iteration = min(self.options.log_iterations, _UNREAD), self.trainable.iteration
        is_prompt = self.trainable.device.type == "cpu"
        return is_prompt or iteration % every == 0 or iteration == self.trainable.total

    def _read(self) -> None:
        names, lower_rate = self.trainable.metric_names, self.method.lower_rate
        numbers = read(self._unread, names, lower_rate)
        for metrics, found in zip(self._unread, numbers, strict=True):
            self._note(metrics.iteration, found, metrics.is_kept)
        self._unread.clear()

    def _step(self) -> Metrics:
        """One iteration; when memory does not suffice, once more with less of it."""
        try:
            return self.trainable.step()
        except RuntimeError as error:
            if not failures.is_out_of_memory(error):
                raise
            if self._shrunk is not None or self.processes.world > 1:
                raise failures.out_of_memory(self._shrunk, self.method.smaller) from error
        # Outside the handler, which keeps the failed iteration's tensors alive.
        self._shrunk = self.trainable.shrink()
        if self._shrunk is None:
            raise failures.out_of_memory(None, self.method.smaller)
        if self.trainable.device.type == "cuda":
            torch.cuda.empty_cache()
        self.progress.warn(f"out of memory: going on with {self._shrunk}")
        return self._step()

    def _note(self, iteration: int, metrics: dict[str, float], is_kept: bool = False) -> None:
        """Tell an iteration's numbers, and write every so many of them."""
        if _SMOOTHED in metrics:
            self.recent = [*self.recent, metrics[_SMOOTHED]][-_SMOOTHED_OVER:]
        speed = (iteration - self.first) / max(self.train_s, 1e-9)
        loss = metrics[self.trainable.metric_names[0]]
        self.progress.step(
            "training", iteration, self.trainable.total,
            loss=round(loss, 5), **self._smooth(2), its=round(speed, 2),
        )  # fmt: skip
        is_due = iteration % self.options.log_iterations == 0
        if is_due or is_kept or iteration == self.trainable.total:
            self.metrics.write(iteration, {**metrics, **self._smooth(), "it_per_s": speed})

    def _smooth(self, digits: int = 7) -> dict[str, float]:
        """The mean of the last batches' PSNR, where the method tells one."""
        if not self.recent:
            return {}
        return {_SMOOTHED: round(sum(self.recent) / len(self.recent), digits)}

    def _tend(self) -> None:
        """Look after previews, checkpoints and the stop, between two iterations."""
        iteration, total = self.trainable.iteration, self.trainable.total
        ended = iteration == total
        due = time.monotonic() - self._saved_at >= self.options.save_minutes * 60
        every = self.options.save_iterations
        self._stopping = stop_requested() and not ended
        if ended or due or self._stopping or (every and iteration % every == 0):
            self._save(ended)
        marks = {max(1, round(total * share)) for share in _PREVIEW_AT}
        shows = iteration in marks or time.monotonic() - self._shown_at >= _PREVIEW_S
        if shows and not self._stopping:  # who asks to stop does not wait for long
            self._show(ended)

    def _show(self, ended: bool) -> None:
        """Write previews, and measure held-out views where that is wanted on the way."""
        paths = self.trainable.preview(self.run / PREVIEWS)
        self.metrics.show(self.trainable.iteration, paths)
        if self.options.measures_often and not ended:
            self._measure()
        self._shown_at = time.monotonic()

    def _measure(self, writes: bool = True) -> dict[str, float]:
        """What held-out views tell, by names that say so."""
        found = self.trainable.held_out().items()
        numbers = {f"held_out_{name}": value for name, value in found}
        if numbers and writes and self.options.measures_often:
            self.metrics.write(self.trainable.iteration, numbers)
        return numbers

    def _save(self, ended: bool) -> None:
        if self._unread:
            self._read()
        trainable = self.trainable
        state = checkpoint_files.whole_state(trainable, self.method.form, self.finals)
        name = checkpoint_files.name_of(state)
        if ended and name not in self.finals:
            self.finals.append(name)
            state["finals"] = list(self.finals)
        if not trainable.is_finite():
            raise failures.diverged(
                trainable.iteration, self.method.lower_rate, "parameters are not numbers"
            )
        checkpoint_files.save(self.run, state, self.options.keep)
        self._saved_at = time.monotonic()
