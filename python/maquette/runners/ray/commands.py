"""A Ray cluster of this machine's processes, to try the backend."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from maquette.cli.arguments import SettingWords
from maquette.counting import counted
from maquette.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings

PYTHON = "MAQUETTE_RAY_PYTHON"
_FILE = ".ray-local.json"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("ray-local")(start)
    app.command("ray-local-stop")(stop)


def start(settings: SettingWords = None) -> None:
    """Start a Ray cluster here: a head, and NODES nodes with one CPU each."""
    from maquette.runners.ray import local_cluster
    from maquette.runners.ray.options import RayOptions

    chosen = _load(settings)
    asked, place = chosen.of(RayOptions), chosen.base_dir / _FILE
    if local_cluster.remembered(place):
        raise UsageError(
            f"a cluster was started here already: `{place.name}`",
            hint="`make ray-local-stop` ends it",
        )
    python = os.environ.get(PYTHON) or sys.executable
    port = urlsplit(asked.ray_address).port or 8265
    cluster = local_cluster.start(python, asked.nodes, port)
    cluster.remember(place)
    print(f"a Ray cluster runs: head and {counted(asked.nodes, 'node')}, {cluster.address}")
    print("its Jobs API answers on this machine alone; other ports of Ray listen beyond it, and")
    print("whoever reaches them runs programs here: `make ray-local-stop` when you are done")
    print(f"jobs there: `make process BACKEND=ray RAY_PYTHON={python} MODEL=…`", flush=True)


def stop(settings: SettingWords = None) -> None:
    """End the Ray cluster that ray-local started here, by its processes' own ids."""
    from maquette.runners.ray import local_cluster

    place: Path = _load(settings).base_dir / _FILE
    cluster = local_cluster.remembered(place)
    if cluster is None:
        raise ConfigError(
            "no Ray cluster was started here", hint="`make ray-local` starts one in this folder"
        )
    cluster.stop()
    place.unlink(missing_ok=True)
    print("the Ray cluster has ended")


def _load(words: list[str] | None) -> Settings:
    """The settings, with this backend's options whatever BACKEND is."""
    from maquette.config.loading import load
    from maquette.runners.ray.options import RayOptions

    return load(words or (), RayOptions)
