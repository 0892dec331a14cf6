"""Fixtures of the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from backends import SETUPS, every_backend
from container_person import remove_containers_on
from job_making import MakeJob, script_job
from maquette.config.settings import Settings
from maquette.runners.base import Runner, get_runner
from maquette.runners.registry import DEFAULT


@pytest.fixture(params=every_backend())
def runner(request: pytest.FixtureRequest) -> Runner:
    """Each backend in turn."""
    if service := SETUPS[request.param].fixture:
        request.getfixturevalue(service)
    return get_runner(request.param)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Leave no container of this test on the daemon."""
    yield
    if request.node.get_closest_marker("docker"):
        remove_containers_on(tmp_path)


@pytest.fixture
def job_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """What jobs of the backend under test need to know."""
    name = _backend(request)
    used = {setup.fixture for setup in SETUPS.values()} & set(request.fixturenames)
    service = SETUPS[name].fixture if name else next(iter(used - {""}), "")
    if not service:
        return Settings(backend=name or DEFAULT)
    settings: Settings = request.getfixturevalue(service).settings(tmp_path)
    return settings


@pytest.fixture
def make_job(tmp_path: Path, job_settings: Settings) -> MakeJob:
    """Make jobs that share one scene folder: `make_job("exit 3")`."""
    return partial(script_job, tmp_path, settings=job_settings)


def _backend(request: pytest.FixtureRequest) -> str | None:
    """The backend under test; None where the test is not of every backend."""
    callspec = getattr(request.node, "callspec", None)
    name: str | None = callspec.params.get("runner") if callspec else None
    return name
