"""Which backends can be tried here, and what would provide the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from job_making import BASE_IMAGE
from maquette.containers.engines import connected, find_engine
from maquette.errors import MaquetteError, NotFound


@cache
def missing_engine() -> str:
    """Why no container can run here."""
    try:
        with connected(find_engine(os.environ.get("DOCKER_HOST", ""))) as client:
            client.images.get(BASE_IMAGE)
    except NotFound:
        return f"there is no image {BASE_IMAGE}: `docker pull {BASE_IMAGE}`"
    except MaquetteError as error:
        return f"{error.what}: install and start Docker, see docs/containers.md"
    return ""


# Backend → why it can not run here. Those that are not named need nothing but this machine.
MISSING: dict[str, Callable[[], str]] = {"docker": missing_engine}


def missing_part(backend: str) -> str:
    """Why jobs of a backend can not run here; "" when they can."""
    return MISSING[backend]() if backend in MISSING else ""
