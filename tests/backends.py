"""Which backends can be tried here, with what, and what would provide the others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import pytest

from job_making import BASE_IMAGE
from maquette.containers.daemon import connected, find_daemon
from maquette.errors import MaquetteError, NotFound
from maquette.runners.registry import BACKENDS


@dataclass(frozen=True)
class BackendSetup:
    """What a backend is tried with.

    Attributes:
        fixture: A service for it, that tells the settings of jobs there; "" where it needs none.
        marks: The tier of its tests, where they need more than this machine.
    """

    fixture: str = ""
    marks: tuple[pytest.MarkDecorator, ...] = ()


SETUPS = {
    "local": BackendSetup(),
    "docker": BackendSetup(marks=(pytest.mark.docker,)),
    "ray": BackendSetup(fixture="ray_cluster", marks=(pytest.mark.cluster,)),
    "ovh": BackendSetup(fixture="emulated"),
    "slurm": BackendSetup(fixture="slurm", marks=(pytest.mark.cluster,)),
}


def every_backend() -> list[object]:
    """All names, each with its tier."""
    return [pytest.param(name, marks=SETUPS[name].marks) for name in sorted(BACKENDS)]


@cache
def missing_daemon() -> str:
    """Why no container can run here; empty when one can."""
    try:
        with connected(find_daemon(os.environ.get("DOCKER_HOST", ""))) as client:
            client.images.get(BASE_IMAGE)
    except NotFound:
        return f"there is no image {BASE_IMAGE}: `docker pull {BASE_IMAGE}`"
    except MaquetteError as error:
        return f"{error.what}: install and start Docker, see docs/containers.md"
    return ""
