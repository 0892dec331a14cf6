"""What the toy may be told."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.pipelines.options import ShardedStepOptions, StepOptions, option


@dataclass(frozen=True)
class ProcessOptions(ShardedStepOptions):
    """Options of `process`."""

    every: int = option(1, "take every N-th camera", low=1)


@dataclass(frozen=True)
class ExtractOptions(StepOptions):
    """Options of `extract`."""

    ball_size: float = option(0.1, "radius of a ball, of the region's", above=0.0)
