"""Fixtures that several tiers share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_person import Person, person_at
from emulated import Emulated, emulator
from http_proxy import HttpProxy, direct_to_this_machine, http_proxy
from maquette.config.loading import MAKE_OVERRIDES
from maquette.containers.daemon import connected, find_daemon
from maquette.runners.ovh import client, tokens
from maquette.storage import datastores
from maquette.storage.datastores import DataStore
from maquette.storage.embedded import Running
from recon_image import recon_image
from s3_server import KEYS, s3_server
from slurm_cluster import CONFIGURATION, SlurmCluster, missing_slurm, slurm_cluster
from store_container import store_container
from threads import one_a_process

pytest_plugins = [
    "tiers", "cuda_device", "turns", "seeds", "report", "prepared_scenes", "ray_cluster",
]  # fmt: skip

os.environ.pop(MAKE_OVERRIDES, None)  # what `make test` was given is not for the program
os.environ.pop("COLUMNS", None)  # nor is the width of the terminal that it was typed in

# Where homes and caches are a test's own, every step would compile its kernels anew.
_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("WARP_CACHE_PATH", str(_CACHES / "warp"))

direct_to_this_machine()
one_a_process()

# A run that a shell started in the background ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An S3 server that all tests share; each uses a prefix of its own."""
    with s3_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpProxy]:
    """A real HTTP proxy that all tests share."""
    with http_proxy(tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="session")
def container_endpoint() -> Iterator[str]:
    """Another S3 server, in a container."""
    with store_container(KEYS) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def reachable_endpoint(container_endpoint: str) -> str:
    """The same server by an address that this machine and other containers reach."""
    with connected(find_daemon()) as client:
        gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway")
    return f"http://{gateway or '172.17.0.1'}:{container_endpoint.rpartition(':')[2]}"


@pytest.fixture(scope="session")
def emulator_of_session(
    server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    with emulator(tmp_path_factory.mktemp("emulator"), server) as running:
        yield running


@pytest.fixture
def emulated(
    emulator_of_session: Emulated, person: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulated]:
    """The emulator, and a person who has a token for it and a data store that both know."""
    monkeypatch.setenv(tokens.VARIABLE, emulator_of_session.running.token)
    yield emulator_of_session
    emulator_of_session.clear()


@pytest.fixture(scope="session")
def slurm_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    if reason := missing_slurm():
        pytest.skip(reason)
    with slurm_cluster(tmp_path_factory.mktemp("hidden")) as running:
        yield running


@pytest.fixture
def slurm(
    slurm_of_session: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """A Slurm cluster that this process' commands find, with an empty queue."""
    monkeypatch.setenv(CONFIGURATION, str(slurm_of_session.configuration))
    yield slurm_of_session
    slurm_of_session.cancel_all()


@pytest.fixture
def person(tmp_path: Path, server: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with a data store of the default alias, and nothing else of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.02)
    (tmp_path / "config").mkdir()
    datastores.add("NEURALANGELO", DataStore(server.location.endpoint, "us-east-1"))
    return tmp_path


@pytest.fixture
def person_of_containers(person: Path, reachable_endpoint: str) -> Path:
    """The same person; containers reach their data store too."""
    datastores.add("NEURALANGELO", DataStore(reachable_endpoint, "us-east-1"))
    return person


@pytest.fixture(scope="session")
def image() -> str:
    """Our CPU image of the present sources."""
    return recon_image()


@pytest.fixture
def user(tmp_path: Path, reachable_endpoint: str, image: str) -> Iterator[Person]:
    """Somebody whose jobs run in containers, with data through a store in another one."""
    with person_at(tmp_path, reachable_endpoint, image) as user:
        yield user
