"""Options about daemons and images, for the backends and commands that use such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import option

REGISTRY_PATTERN = r"^([A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*/?)?$"  # as names of images begin


@dataclass(frozen=True)
class ImageOptions:
    """Which image a step runs in."""

    flavor: str = option("", "machine type on a remote backend; empty: the step's own")
    image: str = option("", "the image to run instead of the step's own")
    variant: Literal["auto", "cpu", "cuda12", "cuda13"] = option(
        "auto", "build of our images: cpu, cuda12, cuda13; auto: by GPU and FLAVOR", native=True
    )
    registry: str = option(
        "", "where our images are pushed to and pulled from", pattern=REGISTRY_PATTERN, native=True
    )


@dataclass(frozen=True)
class DaemonOptions:
    """Which Docker daemon is asked."""

    docker_host: str = option(
        "", "unix:///…, ssh://user@host, tcp://… or a context; empty: the current one"
    )


@dataclass(frozen=True)
class BuildOptions:
    """How our images are built."""

    base_image: str = option("debian:bookworm-slim", "what our images are built on")
    extra_ca: str = option("", "PEM file of authorities that an image's build trusts")
    wheels: str = option("", "folder of wheels that an image's build takes first")
