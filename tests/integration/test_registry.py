"""Pushing images to a real registry, and jobs that pull them from it."""

from __future__ import annotations

import io
import os
import random
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import maquette
from container_person import remove_containers_on
from job_making import BASE_IMAGE, ended, script_job
from maquette.containers import building
from maquette.containers.daemon import connected, find_daemon
from maquette.errors import CredentialsError, NotFound
from maquette.runners import tracking
from maquette.runners.docker.runner import DockerRunner
from recon_image import NAME_OF_BUILD
from registry import digest_in, missing_registry, registry, write_login

_MISSING = missing_registry()
pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "-")]


@pytest.fixture
def small() -> Iterator[str]:
    """A tag of a small image called as ours are; every name of it is removed at the end."""
    tag = f"of-{random.randrange(1 << 32):08x}-cpu"
    with connected(find_daemon()) as client:
        client.images.build(fileobj=_context(), custom_context=True, tag=f"maquette/recon:{tag}",
                            rm=True)  # fmt: skip
    yield tag
    with suppress(NotFound), connected(find_daemon()) as client:
        client.images.remove(f"maquette/recon:{tag}")


@pytest.fixture
def registries() -> Iterator[list[str]]:
    """The registries of this test, to be told; the daemon keeps no name of theirs."""
    told: list[str] = []
    yield told
    with connected(find_daemon()) as client:
        for registry in told:
            for image in client.images.list(filters={"reference": f"{registry}/*/*"}):
                for name in image.tags:
                    if name.startswith(f"{registry}/"):
                        with suppress(NotFound):
                            client.images.remove(name)


@pytest.fixture
def as_built(image: str) -> None:
    """Our CPU image has the name that `make images` gives it."""
    with connected(find_daemon()) as client:
        if not client.images.list(NAME_OF_BUILD):
            client.images.get(image).tag(NAME_OF_BUILD)


def _context() -> io.BytesIO:
    """The base image and a file that no other image has."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        lines = f"FROM {BASE_IMAGE}\nCOPY only-here /only-here\n"
        for name, content in (("Dockerfile", lines.encode()), ("only-here", os.urandom(1 << 20))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def removed_here(*names: str) -> None:
    with connected(find_daemon()) as client:
        for name in names:
            client.images.remove(name)
    with pytest.raises(NotFound), connected(find_daemon()) as client:
        client.images.get(names[0])


@pytest.mark.parametrize("asks_who", [False, True])
def test_what_was_pushed_is_pulled_by_a_job_with_the_same_digest(
    tmp_path: Path,
    small: str,
    asks_who: bool,
    registries: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    with registry(tmp_path / "registry", asks_who=asks_who) as name:
        registries.append(name)
        reference = f"{name}/maquette/recon:{small}"
        if asks_who:
            with pytest.raises(CredentialsError, match="the registry refuses") as told:
                building.push(reference, find_daemon(), said.append)
            assert f"`docker login {name}`" in told.value.hint
            write_login(tmp_path / "docker", name)
            monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        building.push(reference, find_daemon(), said.append)
        with connected(find_daemon()) as client:
            before = client.images.get(reference)
        digests = before.attrs["RepoDigests"]
        if not asks_who:
            told_there = digest_in(name, "maquette/recon", small)
            assert f"{name}/maquette/recon@{told_there}" in digests
        removed_here(reference, f"maquette/recon:{small}")
        job = script_job(tmp_path, "wc -c < /only-here > $1/result")
        job = replace(job, spec={**job.spec, "image": reference})
        tracking.submit(job, DockerRunner())
        assert ended(job)["status"]["state"] == "DONE"
        with connected(find_daemon()) as client:
            after = client.images.get(reference)
    assert after.id == before.id and after.attrs["RepoDigests"] == digests
    assert (job.scene / "result").read_text().strip() == str(1 << 20)
    assert any("Pushed" in line for line in said)
    remove_containers_on(tmp_path)


@pytest.mark.usefixtures("as_built")
def test_a_registry_that_is_not_there_is_told(tmp_path: Path, registries: list[str]) -> None:
    registries.append("127.0.0.1:1")
    done = maquette(tmp_path, "images", "push", "REGISTRY=127.0.0.1:1", "VARIANT=cpu")
    assert done.returncode == 12
    assert "pushing 127.0.0.1:1/maquette/recon:" in done.stderr
    assert "connection refused" in done.stderr and "REGISTRY=" in done.stderr


@pytest.mark.usefixtures("as_built")
def test_who_is_not_known_to_the_registry_is_told_to_log_in(
    tmp_path: Path, registries: list[str]
) -> None:
    with registry(tmp_path / "registry", asks_who=True) as name:
        registries.append(name)
        done = maquette(tmp_path, "images", "push", f"REGISTRY={name}", "VARIANT=cpu")
    assert done.returncode == 11, done.stderr
    assert "the registry refuses" in done.stderr and f"`docker login {name}`" in done.stderr


@pytest.mark.parametrize("registry", ["https://ghcr.io/you", "ghcr.io/You", "gh cr.io"])
def test_a_registry_that_is_no_name_is_told(tmp_path: Path, registry: str) -> None:
    done = maquette(tmp_path, "images", "push", f"REGISTRY={registry}", "VARIANT=cpu")
    assert done.returncode == 10 and f"REGISTRY={registry}" in done.stderr, done.stderr


def test_an_image_that_was_not_built_is_told(tmp_path: Path) -> None:
    with connected(find_daemon()) as client:
        if client.images.list("maquette/recon:0.1.0-cuda12"):
            pytest.skip("the image cuda12 has been built here")
    done = maquette(tmp_path, "images", "push", "REGISTRY=127.0.0.1:1", "VARIANT=cuda12")
    assert done.returncode == 13 and "`make images" in done.stderr
