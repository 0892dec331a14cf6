"""A Docker engine: which one is meant, whether it shares our files, and talking to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import kwargs_from_env

from maquette.containers.contexts import USUAL, current_name, find_context, known_names
from maquette.containers.tunnel import SCHEME, Tunnel, ssh_argv, told_by_ssh
from maquette.errors import ConfigError, JobFailed, MaquetteError, NotFound

HERE = "unix:///var/run/docker.sock"
TIMEOUT_S = 60
_NO_GPU = ("could not select device driver", "nvidia-container-cli", "unknown or invalid runtime")


@dataclass(frozen=True)
class Engine:
    """An engine by its address; `context` names one of docker's own, for its certificates."""

    host: str
    context: str = ""

    @property
    def shares_files(self) -> bool:
        """Whether a path here is the same path there."""
        return self.host.startswith("unix://")

    @property
    def command(self) -> str:
        """Docker's own client for this engine, as a person calls it."""
        if self.context:
            return f"docker --context {self.context}"
        return "docker" if self.host == HERE else f"docker --host {self.host}"

    def to_json(self) -> dict[str, str]:
        """The engine as requests and handles keep it."""
        return {"host": self.host, "context": self.context}


def find_engine(wanted: str = "") -> Engine:
    """The engine of DOCKER_HOST (an address or a context's name), else docker's current one.

    Raises:
        ConfigError: there is no such context, or this is no address.
    """
    if wanted.startswith(SCHEME):
        ssh_argv(wanted)
    if "://" in wanted:
        return Engine(wanted)
    name = wanted or current_name()
    if name == USUAL:
        return Engine(HERE)
    context = find_context(name)
    if context is None:
        raise ConfigError(
            f"docker has no context `{name}` (DOCKER_HOST)",
            detail=f"there are: {', '.join(known_names())}",
            hint="`docker context create`, or an address such as ssh://user@host",
        )
    return Engine(context.host, name)


@contextmanager
def connected(engine: Engine, timeout_s: float = TIMEOUT_S) -> Iterator[docker.DockerClient]:
    """Talk to an engine; whatever fails becomes a sentence.

    Raises:
        MaquetteError: the engine does not answer or refuses.
    """
    address, tls = _reached(engine)
    tunnel = Tunnel(address) if address.startswith(SCHEME) else None
    client = None
    try:
        if tunnel is not None:
            address, tls = tunnel.address, False
        client = _client(address, tls, timeout_s)
        yield client
    except (DockerException, requests.RequestException) as error:
        raise explained(error, engine, tunnel.said() if tunnel else "") from error
    finally:
        if client is not None:
            client.close()
        if tunnel is not None:
            tunnel.close()


def explained(error: Exception, engine: Engine, said_by_ssh: str = "") -> MaquetteError:
    """Say what an engine's refusal, or its silence, means."""
    said = str(getattr(error, "explanation", "") or error)
    if isinstance(error, ImageNotFound):
        return NotFound(f"there is no such image: {said}", hint="`make images` builds ours")
    if isinstance(error, APIError) and any(sign in said for sign in _NO_GPU):
        return JobFailed(
            "the Docker engine has no GPU to give",
            detail=said,
            hint="GPU=0 computes without one; else install NVIDIA's container toolkit on the host",
        )
    if isinstance(error, APIError):
        return JobFailed(f"the Docker engine refused: {said}", detail=engine.host)
    if told := told_by_ssh(said_by_ssh, engine.host) if said_by_ssh else None:
        return told
    hint = (
        "start it: `sudo systemctl start docker`; or BACKEND=local, which needs none"
        if engine.shares_files
        else f"try `{engine.command} info`; BACKEND=local needs no engine"
    )
    return JobFailed(f"no Docker engine answers at `{engine.host}`", detail=said[:300], hint=hint)


def _reached(engine: Engine) -> tuple[str, Any]:
    """Where the engine is, and a context's certificates; None: those of the environment."""
    if not engine.context:
        return engine.host, None
    context = find_context(engine.context)
    if context is None:
        raise NotFound(f"docker's context `{engine.context}` is gone")
    return context.host, context.tls or False


class _Api(docker.APIClient):
    """Trusts an engine by its own authority alone, whatever REQUESTS_CA_BUNDLE says."""

    def merge_environment_settings(self, *request: Any, **more: Any) -> Any:
        settings = super().merge_environment_settings(*request, **more)
        return {**settings, "verify": self.verify}


class _Client(docker.DockerClient):
    def __init__(self, **options: Any) -> None:
        self.api = _Api(**options)


def _client(address: str, tls: Any, timeout_s: float) -> docker.DockerClient:
    found: dict[str, Any] = {"base_url": address, "tls": tls}
    if tls is None:
        found = {**kwargs_from_env(environment={**os.environ, "DOCKER_HOST": address})}
    return _Client(**found, timeout=timeout_s, version="auto")
