"""The options of jobs on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.pipelines.options import option
from maquette.runners.agent_options import CarryOptions


@dataclass(frozen=True)
class RayOptions(CarryOptions):
    """Options of the backend."""

    ray_address: str = option(
        "http://127.0.0.1:8265", "where the cluster's Jobs API answers, e.g. an ssh tunnel to it"
    )
    ray_python: str = option(
        "python3", "the interpreter of the cluster's machines that has maquette and ray"
    )
    ray_folder: str = option(
        "~/.cache/maquette/cluster",
        "folder of each of the cluster's machines for scenes that come by the data store",
    )
    nodes: int = option(2, "nodes of the cluster that `make ray-local` starts", low=1, high=64)


OPTIONS = RayOptions
