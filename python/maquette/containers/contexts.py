"""Docker's contexts, read where docker's own client keeps them: names for engines elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.tls import TLSConfig

from maquette.errors import ConfigError

USUAL = "default"  # docker's word for the engine of this machine


@dataclass(frozen=True)
class Context:
    """A name for an engine.

    Attributes:
        tls: Its certificates; None without any.
    """

    name: str
    host: str
    tls: TLSConfig | None = None


def find_context(name: str) -> Context | None:
    """The context of this name; None when there is none."""
    place = hashlib.sha256(name.encode()).hexdigest()
    facts = _read(_folder() / "contexts" / "meta" / place / "meta.json")
    endpoint = facts.get("Endpoints", {}).get("docker", {})
    if not endpoint.get("Host"):
        return None
    keys = _folder() / "contexts" / "tls" / place / "docker"
    return Context(name, endpoint["Host"], _certificates(keys, endpoint))


def current_name() -> str:
    """The context that docker's own client takes now."""
    chosen = os.environ.get("DOCKER_CONTEXT") or _read(_folder() / "config.json").get(
        "currentContext"
    )
    return chosen or USUAL


def known_names() -> list[str]:
    """Every context there is."""
    return [USUAL, *sorted(_stored_names())]


def _stored_names() -> Iterator[str]:
    for path in (_folder() / "contexts" / "meta").glob("*/meta.json"):
        yield str(_read(path).get("Name", ""))


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


def _folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"docker's own settings can not be read: `{path}`", detail=str(error)
        ) from error
    return facts if isinstance(facts, dict) else {}
