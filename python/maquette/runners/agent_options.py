"""Options of jobs that run away from this terminal, for the backends that have such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from maquette.pipelines.options import option


@dataclass(frozen=True)
class TimeLimitOptions:
    """When a job has to end."""

    max_hours: float = option(0.0, "a remote step stops after this; 0: never", low=0)


@dataclass(frozen=True)
class CarryOptions:
    """How a job gets its scene."""

    carry: Literal["auto", "mount", "store"] = option(
        "auto",
        "how a job elsewhere gets the scene: mount (at OVHcloud a volume), store (its "
        "agent fetches it); auto: by the backend",
    )
    sync_minutes: float = option(
        5.0, "minutes between a running job's pushes", above=0, native=True
    )


@dataclass(frozen=True)
class AgentOptions(TimeLimitOptions, CarryOptions):
    """How a job gets its scene, when it has to end, and whom it notifies."""

    max_cost: float = option(0.0, "it stops when it has cost this much; 0: never", low=0)
    keep_on_fail: float = option(
        0.0,
        "minutes that a failed job's machine is kept for a look, within MAX_HOURS and MAX_COST; "
        "0: not",
        low=0,
        native=True,
    )
    notify_url: SecretStr = option(
        SecretStr(""),
        "webhook (Slack's or any) told of start, stages, failure, end",
        native=True,
    )
