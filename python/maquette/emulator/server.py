"""Start the emulator: its folder, its runtime, its data stores, its address."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from maquette.emulator.app import Api, ApiOptions
from maquette.emulator.clock import Clock
from maquette.emulator.connections import TrackedProtocol
from maquette.emulator.container_runtime import ContainerOptions, ContainerRuntime
from maquette.emulator.database import Database
from maquette.emulator.faults import Faults
from maquette.emulator.objects import Access, StoreMissing, Stores
from maquette.emulator.parts import Service
from maquette.emulator.process_runtime import ProcessRuntime
from maquette.emulator.runtimes import Runtime
from maquette.emulator.service import Jobs
from maquette.errors import ConfigError, MaquetteError
from maquette.own_address import opened_as

TOKEN_FILE = "token"


@dataclass(frozen=True)
class Options:
    """How an emulator behaves.

    Attributes:
        folder: Holds its database; hidden from others.
    """

    folder: Path
    runtime: Runtime
    stores: Stores
    host: str = "127.0.0.1"
    port: int = 0
    clock: Clock = field(default_factory=Clock)
    api: ApiOptions = field(default_factory=ApiOptions)
    quota: dict[str, int] = field(default_factory=lambda: {"CPU": 12, "GPU": 4})
    region: str = "gra"


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that answers."""

    url: str
    token: str = field(repr=False)


def choose_runtime(kind: str, options: ContainerOptions | None = None) -> Runtime:
    """The runtime of a kind: container, process, or auto for containers where they can be had.

    Raises:
        MaquetteError: `container` was asked for and no Docker daemon answers here.
    """
    if kind == "process":
        return ProcessRuntime()
    try:
        return ContainerRuntime(options)
    except MaquetteError:
        if kind == "container":
            raise
        return ProcessRuntime()


def build(options: Options) -> tuple[uvicorn.Server, socket.socket, RunningEmulator]:
    """Open its database and its address; `server.run(sockets=[…])` serves.

    Raises:
        ConfigError: the address is taken.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    database = Database(options.folder)
    token = _first_token(database)
    service = Service(database, options.runtime, options.stores, Faults(), options.clock)
    api = Api(Jobs(service, options.quota, options.region), options.api)
    listener = _listen(options.host, options.port)
    config = uvicorn.Config(
        api.app(), http=TrackedProtocol, log_level="warning", lifespan="on",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    port = listener.getsockname()[1]
    shown = opened_as(options.host)
    shown = f"[{shown}]" if ":" in shown else shown
    return uvicorn.Server(config), listener, RunningEmulator(f"http://{shown}:{port}", token)


@contextmanager
def serving(options: Options) -> Iterator[RunningEmulator]:
    """Serve from a thread until the block ends; jobs that still run go on without it."""
    server, listener, running = build(options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def stores_of(base_dir: Path) -> Stores:
    """The data stores of this person by alias; an unknown one is the built-in store.

    Args:
        base_dir: Holds the built-in store.
    """

    @contextmanager
    def opened(alias: str) -> Iterator[Access]:
        from maquette.storage import credentials, datastores, embedded
        from maquette.storage.scene_bucket import STORE_FOLDER

        known = datastores.known()
        try:
            if alias in known:
                keys = credentials.find(known[alias].profile)
                found = known[alias]
                yield Access(found.endpoint, found.region, keys.access_key, keys.secret_key)
                return
            with embedded.serving((base_dir / STORE_FOLDER).resolve()) as store:
                keys, at = store.credentials, store.location
                yield Access(
                    at.endpoint, at.region, keys.access_key, keys.secret_key, is_elsewhere=False
                )
        except MaquetteError as error:
            raise StoreMissing(f"{alias}: {error.what}") from None

    return opened


def _first_token(database: Database) -> str:
    """The operator token that the emulator keeps for its person, readable for them alone."""
    file = database.folder / TOKEN_FILE
    if file.exists():
        return file.read_text(encoding="utf-8").strip()
    spec = {"name": "emulated-user", "role": "ai_training_operator", "labelSelector": None}
    _, secret = database.add_token(spec)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as output:
        output.write(secret + "\n")
    return secret


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio answers without waiting to fill a packet: 40 ms a request.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"the emulator can not listen on {host}:{port}: {error.strerror}",
            hint="choose another one: LISTEN=127.0.0.1:8090",
        ) from error
    listener.listen(128)
    return listener
