"""A real registry for images, as a process of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3_server import port_told_in
from waiting import wait_for

PERSON, PASSWORD = "maquette", "a-password-of-tests"
_BCRYPT = "$2y$05$abcdefghijklmnopqrstuueA.5djcjiTIZGfiZPkCs0FT7mnizswe"


def missing_registry() -> str:
    """Why no registry can run here; empty when one can."""
    return "" if shutil.which("docker-registry") else (
        "there is no docker-registry: `apt-get install docker-registry`"
    )  # fmt: skip


@contextmanager
def registry(folder: Path, *, asks_who: bool = False) -> Iterator[str]:
    """Serve an empty registry; yields its name as images have it, `127.0.0.1:PORT`.

    Args:
        asks_who: Only PERSON with PASSWORD may push and pull.
    """
    folder.mkdir()
    config = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if asks_who:
        (folder / "people").write_text(f"{PERSON}:{_BCRYPT}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "people")}}
    (folder / "config.yml").write_text(json.dumps(config))
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log
        )
    try:
        port = wait_for(lambda: port_told_in(folder / "log"), what="the registry to listen")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(270)


def write_login(folder: Path, name: str) -> None:
    """Write what `docker login` keeps, into a folder that DOCKER_CONFIG may name."""
    folder.mkdir()
    login = base64.b64encode(f"{PERSON}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {name: {"auth": login}}}))


def digest_in(name: str, repository: str, tag: str) -> str:
    """The digest that the registry itself tells for a tag."""
    url = f"http://{name}/v2/{repository}/manifests/{tag}"
    accepted = "application/vnd.docker.distribution.manifest.v2+json"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accepted})) as it:
        return str(it.headers["Docker-Content-Digest"])
