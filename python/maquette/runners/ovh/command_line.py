"""The command line of the `ovhai` program: a request as `ovhai job run …`, volumes as text; pure.

Volumes are `container@alias/prefix:/mount:rw:cache`.
"""

from __future__ import annotations

import shlex
from typing import Any

from maquette.errors import ConfigError

PERMISSIONS = ("RO", "RW", "RWD")
_CACHES = {"cache": True, "no-cache": False}
_STANDALONE = "standalone"


def command_line(body: dict[str, Any]) -> str:
    """Write the line for people who use the `ovhai` program."""
    words = ["ovhai", "job", "run"]
    resources = body.get("resources", {})
    for flag, value in (
        ("--name", body.get("name")),
        ("--flavor", resources.get("flavor")),
        ("--gpu", resources.get("gpu")),
        ("--cpu", None if resources.get("gpu") else resources.get("cpu")),
        ("--timeout", f"{body['timeout']}s" if body.get("timeout") else None),
        ("--default-http-port", body.get("defaultHttpPort")),
    ):
        if value:
            words += [flag, str(value)]
    if body.get("unsecureHttp"):
        words.append("--unsecure-http")
    for item in body.get("envVars", ()):
        words += ["--env", f"{item['name']}={item['value']}"]
    for name, text in body.get("labels", {}).items():
        words += ["--label", f"{name}={text}"]
    for volume in body.get("volumes", ()):
        words += ["--volume", volume_to_text(volume)]
    words += ["--output", "json", str(body["image"])]
    if body.get("command"):
        words += ["--", *body["command"]]
    return shlex.join(words)


def volume_to_text(volume: dict[str, Any]) -> str:
    """Write a volume as the command line takes it."""
    permission = volume.get("permission", "RO").lower()
    words = [_source_text(volume), volume["mountPath"], permission]
    if volume.get("cache"):
        words.append("cache")
    return ":".join(words)


def volume_from_text(text: str) -> dict[str, Any]:
    """Read a volume string, from the right because addresses hold colons.

    Raises:
        ConfigError: it is none.
    """
    words = text.split(":")
    cache = _CACHES[words.pop()] if words[-1] in _CACHES else False
    permission = words.pop().upper() if words[-1].upper() in PERMISSIONS else "RO"
    mount, source = words.pop(), ":".join(words)
    if not source or not mount.startswith("/"):
        raise ConfigError(
            f"`{text}` is no volume", hint="container@alias/prefix:/mount:rw, or an address:/mount"
        )
    return {**_source(source), "mountPath": mount, "permission": permission, "cache": cache}


def _source_text(volume: dict[str, Any]) -> str:
    nested = volume.get("volumeSource") or {}
    store = volume.get("dataStore") or nested.get("dataStore")
    if store:
        prefix = f"/{store['prefix']}" if store.get("prefix") else ""
        return f"{store['container']}@{store['alias']}{prefix}"
    for name in ("publicGit", "publicSwift"):
        source = volume.get(name) or nested.get(name)
        if source:
            return str(source["url"])
    return _STANDALONE


def _source(text: str) -> dict[str, Any]:
    if text == _STANDALONE:
        return {"standalone": {}}
    if "://" in text:
        return {"publicGit" if text.endswith(".git") else "publicSwift": {"url": text}}
    container, at, rest = text.partition("@")
    alias, _, prefix = rest.partition("/")
    if not at or not container or not alias:
        raise ConfigError(f"`{text}` names no data store", hint="container@alias/prefix")
    store = {"alias": alias, "container": container}
    return {"dataStore": {**store, "prefix": prefix.rstrip("/")} if prefix else store}
