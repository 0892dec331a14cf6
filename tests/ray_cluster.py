"""A Ray cluster for tests: a head and two nodes as processes of this machine, started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from maquette.config.settings import Settings
from maquette.runners.ray import local_cluster
from maquette.runners.ray.local_cluster import LocalCluster

VARIABLE = "MAQUETTE_RAY_PYTHON"
NODES = 2


@dataclass(frozen=True)
class RayCluster:
    """What tests know of a running cluster."""

    cluster: LocalCluster

    def settings(self, folder: Path) -> Settings:
        options = {"ray_address": self.cluster.address, "ray_python": self.cluster.python}
        return Settings(backend="ray", backend_options=options)


def missing_ray() -> str:
    """Why no cluster can be started here; empty when one can."""
    if Path(os.environ.get(VARIABLE, "")).is_file():
        return ""
    return "no Python with ray is named: `make test-cluster` installs one"


@pytest.fixture(scope="session")
def ray_cluster_of_session() -> Iterator[LocalCluster]:
    """Processes that end with the tests, also when these fail."""
    if reason := missing_ray():
        pytest.skip(reason)
    cluster = local_cluster.start(os.environ[VARIABLE], NODES, port=0, ends_with_us=True)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def ray_cluster(ray_cluster_of_session: LocalCluster) -> RayCluster:
    return RayCluster(ray_cluster_of_session)
