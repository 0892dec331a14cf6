"""What a training run measured: `metrics.jsonl`, TensorBoard where it is installed, and others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from maquette.scene.atomic import write_text

FILE = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class MetricsWriter(Protocol):
    """One place that metrics go to."""

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of an iteration."""
        ...

    def show(self, iteration: int, paths: Sequence[Path]) -> None:
        """Add the previews of an iteration: pictures, and files for the viewer."""
        ...

    def close(self, succeeded: bool) -> None:
        """Write what is left; `succeeded`: the run ended or was stopped politely."""
        ...


class JsonLines:
    """Adds lines to `metrics.jsonl` of a run's folder.

    Args:
        iteration: Where the run continues; what lies behind it there is dropped.
    """

    def __init__(self, run: Path, iteration: int) -> None:
        self._path = run / FILE
        _cut(self._path, iteration)

    def write(self, iteration: int, values: dict[str, float]) -> None:
        line = {key: round(value, 7) for key, value in {"iteration": iteration, **values}.items()}
        with open(self._path, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def show(self, iteration: int, paths: Sequence[Path]) -> None:
        """Previews lie in the run's folder already."""

    def close(self, succeeded: bool) -> None:
        """Each line was written when it came."""


class TensorBoard:
    """Adds scalars to `tensorboard/` of a run's folder; those behind `iteration` are dropped.

    Args:
        has_pictures: Previews too. An event file is never pruned: only for few and small ones.
    """

    def __init__(self, writer: Any, has_pictures: bool = False) -> None:
        self._writer, self._has_pictures = writer, has_pictures

    @classmethod
    def opened(cls, run: Path, iteration: int, has_pictures: bool = False) -> list[TensorBoard]:
        """One writer, or none where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return []
        made = SummaryWriter(str(run / TENSORBOARD), purge_step=iteration + 1)
        return [cls(made, has_pictures)]

    def write(self, iteration: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def show(self, iteration: int, paths: Sequence[Path]) -> None:
        """Add previews that are pictures, where they are wanted."""
        for path in paths if self._has_pictures else ():
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image("preview", pixels, iteration, dataformats="HWC")

    def close(self, succeeded: bool) -> None:
        self._writer.close()


class MetricsLog:
    """All places that the metrics of a run go to.

    Args:
        iteration: Where the run continues.
        others: Writers besides the file and TensorBoard.
        has_pictures: TensorBoard shows previews.
    """

    def __init__(
        self, run: Path, iteration: int, others: Sequence[MetricsWriter] = (),
        has_pictures: bool = False,
    ) -> None:  # fmt: skip
        own: list[MetricsWriter] = [JsonLines(run, iteration)]
        self._writers = [*own, *TensorBoard.opened(run, iteration, has_pictures), *others]

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of an iteration."""
        for writer in self._writers:
            writer.write(iteration, values)

    def show(self, iteration: int, paths: Sequence[Path]) -> None:
        """Add the previews of an iteration."""
        for writer in self._writers:
            writer.show(iteration, paths)

    def close(self, succeeded: bool = True) -> None:
        """Write what is left."""
        for writer in self._writers:
            writer.close(succeeded)


def _cut(path: Path, iteration: int) -> None:
    """Drop metrics of iterations that will be done again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["iteration"] <= iteration:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue  # half a line of a killed run
    write_text(path, "".join(line + "\n" for line in kept))
