"""A Docker daemon: which one is meant, whether it shares our files, and talking to it.

Docker's contexts, the names of daemons, are read where docker's own client keeps them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from maquette.containers.tunnel import SCHEME, Tunnel, explain_ssh_error, ssh_argv
from maquette.errors import ConfigError, JobFailed, MaquetteError, NotFound, Unanswered
from maquette.person import home
from maquette.storage.proxies import is_loopback

LOCAL = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT = "default"  # docker's word for the daemon of this machine
TIMEOUT_S = 60
_NO_GPU = ("could not select device driver", "nvidia-container-cli", "unknown or invalid runtime")


@dataclass(frozen=True)
class Context:
    """A name for a daemon.

    Attributes:
        tls: Its certificates; None without any.
    """

    name: str
    host: str
    tls: TLSConfig | None = None


@dataclass(frozen=True)
class Daemon:
    """A daemon by its address; `context` names one of docker's own, for its certificates."""

    host: str
    context: str = ""

    @property
    def shares_files(self) -> bool:
        """Whether a path here is the same path there."""
        return self.host.startswith("unix://")

    @property
    def command(self) -> str:
        """Docker's own client for this daemon, as a person calls it."""
        if self.context:
            return f"docker --context {self.context}"
        return "docker" if self.host == LOCAL else f"docker --host {self.host}"

    def to_json(self) -> dict[str, str]:
        """The daemon as requests and handles keep it."""
        return {"host": self.host, "context": self.context}


def daemon_of(record: Mapping[str, Any]) -> Daemon:
    """The daemon that a request or a handle names; earlier ones call it `engine`."""
    return Daemon(**(record.get("daemon") or record["engine"]))


def find_daemon(wanted: str = "") -> Daemon:
    """The daemon of DOCKER_HOST (an address or a context's name), else docker's current one.

    Raises:
        ConfigError: there is no such context, or this is no address.
    """
    if wanted.startswith(SCHEME):
        ssh_argv(wanted)
    if "://" in wanted:
        return Daemon(wanted)
    name = wanted or current_name()
    if name == DEFAULT_CONTEXT:
        return Daemon(LOCAL)
    context = find_context(name)
    if context is None:
        raise ConfigError(
            f"docker has no context `{name}` (DOCKER_HOST)",
            detail=f"there are: {', '.join(known_names())}",
            hint="`docker context create`, or an address such as ssh://user@host",
        )
    return Daemon(context.host, name)


def find_context(name: str) -> Context | None:
    """The context of this name; None when there is none."""
    place = hashlib.sha256(name.encode()).hexdigest()
    facts = _read_json(_config_folder() / "contexts" / "meta" / place / "meta.json")
    endpoint = facts.get("Endpoints", {}).get("docker", {})
    if not endpoint.get("Host"):
        return None
    keys = _config_folder() / "contexts" / "tls" / place / "docker"
    return Context(name, endpoint["Host"], _certificates(keys, endpoint))


def current_name() -> str:
    """The context that docker's own client takes now."""
    chosen = os.environ.get("DOCKER_CONTEXT") or _read_json(_config_folder() / "config.json").get(
        "currentContext"
    )
    return chosen or DEFAULT_CONTEXT


def known_names() -> list[str]:
    """Every context there is."""
    return [DEFAULT_CONTEXT, *sorted(_stored_names())]


def _stored_names() -> Iterator[str]:
    for path in (_config_folder() / "contexts" / "meta").glob("*/meta.json"):
        yield str(_read_json(path).get("Name", ""))


def _certificates(folder: Path, endpoint: dict[str, Any]) -> TLSConfig | None:
    authority, certificate, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
    is_checked = not endpoint.get("SkipTLSVerify")
    if not folder.is_dir() and is_checked:
        return None
    return TLSConfig(
        client_cert=(str(certificate), str(key)) if certificate.exists() else None,
        ca_cert=str(authority) if authority.exists() else None,
        verify=is_checked,
    )


def _config_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or home() / ".docker")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"docker's own settings can not be read: `{path}`", detail=str(error)
        ) from error
    return facts if isinstance(facts, dict) else {}


@contextmanager
def connected(daemon: Daemon, timeout_s: float = TIMEOUT_S) -> Iterator[docker.DockerClient]:
    """Talk to a daemon; whatever fails becomes a sentence.

    Raises:
        MaquetteError: the daemon does not answer or refuses.
    """
    address, tls = _endpoint(daemon)
    tunnel = Tunnel(address) if address.startswith(SCHEME) else None
    client = None
    try:
        if tunnel is not None:
            address, tls = tunnel.address, False
        client = _client(address, tls, timeout_s)
        yield client
    except (DockerException, requests.RequestException) as error:
        raise explain_error(error, daemon, tunnel.stderr() if tunnel else "") from error
    finally:
        if client is not None:
            client.close()
        if tunnel is not None:
            tunnel.close()


_NO_PROGRAM = ("executable file not found", "exec: ", "no such file or directory: unknown")


def explain_error(error: Exception, daemon: Daemon, ssh_stderr: str = "") -> MaquetteError:
    """Say what a daemon's refusal, or its silence, means."""
    message = str(getattr(error, "explanation", "") or error)
    if isinstance(error, ImageNotFound):
        return NotFound(f"there is no such image: {message}", hint="`make images` builds ours")
    if isinstance(error, APIError) and any(sign in message for sign in _NO_GPU):
        return JobFailed(
            "the Docker daemon has no GPU to give",
            detail=message,
            hint="GPU=0 computes without one; else install NVIDIA's container toolkit on the host",
        )
    if isinstance(error, APIError) and any(sign in message for sign in _NO_PROGRAM):
        return JobFailed(
            "the image has no maquette that runs: its program is not there",
            detail=message[:300],
            hint="leave IMAGE out to take ours (`make images` builds them); `make check-image` "
            "says what one lacks",
        )
    if isinstance(error, APIError):
        return JobFailed(f"the Docker daemon refused: {message}", detail=daemon.host)
    if explained := explain_ssh_error(ssh_stderr, daemon.host) if ssh_stderr else None:
        return explained
    hint = (
        "start it: `sudo systemctl start docker`; or BACKEND=local, which needs none"
        if daemon.shares_files
        else f"try `{daemon.command} info`; BACKEND=local needs no daemon"
    )
    return Unanswered(
        f"no Docker daemon answers at `{daemon.host}`", detail=message[:300], hint=hint
    )


def _endpoint(daemon: Daemon) -> tuple[str, Any]:
    """Where the daemon is, and a context's certificates; None: those of the environment."""
    if not daemon.context:
        return daemon.host, None
    context = find_context(daemon.context)
    if context is None:
        raise NotFound(f"docker's context `{daemon.context}` is gone")
    return context.host, context.tls or False


class _Api(docker.APIClient):
    """Trusts a daemon by its own authority alone, whatever REQUESTS_CA_BUNDLE says.

    One that answers on this machine, at a port or at a tunnel's end, is asked without any proxy.
    """

    def merge_environment_settings(self, *request: Any, **more: Any) -> Any:
        settings = dict(super().merge_environment_settings(*request, **more))
        if is_loopback(str(more.get("url") or request[0])):
            settings["proxies"] = {}
        return {**settings, "verify": self.verify}


class _Client(docker.DockerClient):
    def __init__(self, **options: Any) -> None:
        self.api = _Api(**options)


def _client(address: str, tls: Any, timeout_s: float) -> docker.DockerClient:
    found: dict[str, Any] = {"base_url": address, "tls": tls}
    if tls is None:
        found = {**kwargs_from_env(environment={**os.environ, "DOCKER_HOST": address})}
    return _Client(**found, timeout=timeout_s, version="auto")
