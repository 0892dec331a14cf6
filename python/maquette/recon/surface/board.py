"""Metrics for TensorBoard, when it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class Board:
    """Writes scalars to `runs/<GROUP>/tensorboard`; does nothing without TensorBoard.

    Args:
        iteration: Where the run continues; what lies behind it there is dropped.
    """

    def __init__(self, run: Path, iteration: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(run / FOLDER), purge_step=iteration + 1)

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of an iteration."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
