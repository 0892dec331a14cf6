"""The options of jobs in containers."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.containers.options import BuildOptions, DaemonOptions, ImageOptions
from maquette.pipelines.options import option
from maquette.runners.agent_options import AgentOptions


@dataclass(frozen=True)
class DockerOptions(BuildOptions, AgentOptions, ImageOptions, DaemonOptions):
    """Options of the backend."""

    price_per_hour: float = option(0.0, "of the machine, for MAX_COST and reports", low=0)


OPTIONS = DockerOptions
