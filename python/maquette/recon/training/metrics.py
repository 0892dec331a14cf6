"""What a training run measured: `metrics.jsonl`, and TensorBoard when it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maquette.scene.atomic import write_text

FILE = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class MetricsLog:
    """Adds lines to `metrics.jsonl` and scalars to `tensorboard/` of a run's folder.

    Args:
        iteration: Where the run continues; what lies behind it there is dropped.
    """

    def __init__(self, run: Path, iteration: int) -> None:
        self._path = run / FILE
        _cut(self._path, iteration)
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(run / TENSORBOARD), purge_step=iteration + 1)

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of an iteration."""
        line = {key: round(value, 7) for key, value in {"iteration": iteration, **values}.items()}
        with open(self._path, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


def _cut(path: Path, iteration: int) -> None:
    """Drop metrics of iterations that will be done again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["iteration"] <= iteration:
                kept.append(line)
        except (ValueError, KeyError):
            continue  # half a line of a killed run
    write_text(path, "".join(line + "\n" for line in kept))
