"""How a training run is done, besides the configuration of what it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training run.

    Attributes:
        iterations: How many in all; schedules scale with it.
        preset: The values to start from; see presets.py.
        overrides: Values by dotted key, e.g. `{"optim.params.lr": 5e-4}`.
        seed: Of every random choice.
        gpus: Processes that train, each with a GPU of its own where there are any; 0: the
            processor alone.
        fresh: Start anew and set an earlier run aside.
        checkpoint: Name, path or iteration to continue from; empty: the newest.
        save_minutes: Between checkpoints.
        wandb: Send metrics to Weights & Biases too.
        dense_points: Points of dense stereo that hold the surface, a file below the scene; empty:
            none.
        cache_bytes: Memory for pixels in each process; 0: a share of what there is.
    """

    iterations: int
    preset: str = "auto"
    overrides: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    gpus: int = 1
    fresh: bool = False
    checkpoint: str = ""
    save_minutes: float = 5.0
    wandb: bool = False
    dense_points: str = ""
    cache_bytes: int = 0
