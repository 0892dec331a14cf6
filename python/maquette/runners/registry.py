"""Find a backend by its name; each is imported only when it is used."""

from __future__ import annotations

import difflib
import importlib

from maquette.errors import ConfigError
from maquette.runners.base import Runner

BACKENDS = {
    "local": "maquette.runners.local:LocalRunner",
    "docker": "maquette.runners.docker:DockerRunner",
    "ovh": "maquette.runners.ovh.runner:OvhRunner",
}


def get_runner(name: str) -> Runner:
    """Make the runner of backend `name`.

    Raises:
        ConfigError: there is no such backend.
    """
    if name not in BACKENDS:
        nearest = difflib.get_close_matches(name, BACKENDS, n=1) or sorted(BACKENDS)
        raise ConfigError(f"there is no backend `{name}`", hint=f"try BACKEND={nearest[0]}")
    module, _, attribute = BACKENDS[name].partition(":")
    runner: Runner = getattr(importlib.import_module(module), attribute)()
    return runner
