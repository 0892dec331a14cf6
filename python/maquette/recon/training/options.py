"""How a training run is done, whatever it trains."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """Options of the chassis.

    Attributes:
        gpus: Processes that train, each with a GPU of its own where there are any; 0: the
            processor alone.
        fresh: Start anew and set an earlier run aside.
        checkpoint: Name, path or iteration to continue from; empty: the newest.
        save_minutes: Between checkpoints.
        save_iterations: Between checkpoints, besides; 0: by the clock alone.
        keep: How many of the newest checkpoints stay, besides those that ended a run.
        log_iterations: Between lines of `metrics.jsonl`.
        measures_often: Measure held-out views with every preview, not only at the end.
        wandb: Send metrics and previews to Weights & Biases too.
        name: Of the run, for people there.
    """

    gpus: int = 1
    fresh: bool = False
    checkpoint: str = ""
    save_minutes: float = 5.0
    save_iterations: int = 0
    keep: int = 3
    log_iterations: int = 20
    measures_often: bool = False
    wandb: bool = False
    name: str = ""
