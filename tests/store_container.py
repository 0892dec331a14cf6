"""An S3 server in a container of its own, from images/store; nothing is pulled."""

from __future__ import annotations

import io
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from maquette.storage.embedded import program
from maquette.storage.signing import Credentials
from waiting import wait_for

PORT = 9000
_FOLDER = Path(__file__).parents[1] / "images" / "store"
_NAME = "maquette-test-store"


@cache
def store_image() -> str:
    """Build the image, once per version of the server, and return its name."""
    import docker

    size = program().stat().st_size
    name = f"{_NAME}:{size:x}"
    client = docker.from_env(timeout=300)
    if not client.images.list(name):
        with io.BytesIO(_context()) as context:
            client.images.build(fileobj=context, custom_context=True, tag=name, rm=True)
    return name


@contextmanager
def store_container(keys: Credentials) -> Iterator[str]:
    """Run the server until the block ends; yields its endpoint."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image can not be pulled
    from testcontainers.core.container import DockerContainer

    container = (
        DockerContainer(store_image())
        .with_exposed_ports(PORT)
        .with_env("RCLONE_AUTH_KEY", f'"{keys.access_key},{keys.secret_key}"')
    )
    with container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(PORT)
        endpoint = f"http://{host}:{port}"
        wait_for(lambda: _answers(endpoint), what="an answer of the store in its container")
        yield endpoint


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        return True  # it refuses who does not sign
    except OSError:
        return False
    return True


def _context() -> bytes:
    """A tar of the image's folder, the server and an empty folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(_FOLDER / "Dockerfile", "Dockerfile")
        tar.add(program(), "rclone")
        folder = tarfile.TarInfo("data")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
    return packed.getvalue()
