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

from backends import missing_engine
from command_line import maquette
from container_person import remove_containers_on
from job_making import BASE_IMAGE, ended, script_job
from maquette.containers import building
from maquette.containers.engines import connected, find_engine
from maquette.errors import CredentialsError, NotFound
from maquette.runners import tracking
from maquette.runners.docker import DockerRunner
from registry import digest_in, missing_registry, registry, write_login

_MISSING = missing_engine() or missing_registry()
pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "-"),
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]


@pytest.fixture
def small() -> Iterator[str]:
    """A tag of a small image called as ours are; every name of it is removed at the end."""
    tag = f"of-{random.randrange(1 << 32):08x}-cpu"
    with connected(find_engine()) as client:
        client.images.build(fileobj=_context(), custom_context=True, tag=f"maquette/recon:{tag}",
                            rm=True)  # fmt: skip
    yield tag
    with suppress(NotFound), connected(find_engine()) as client:
        client.images.remove(f"maquette/recon:{tag}")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leave no name of a registry of this test on the engine."""
    yield
    with connected(find_engine()) as client:
        for image in client.images.list(filters={"reference": "127.0.0.1:*/*/*"}):
            for name in image.tags:
                if name.startswith("127.0.0.1:"):
                    client.images.remove(name)


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
    with connected(find_engine()) as client:
        for name in names:
            client.images.remove(name)
    with pytest.raises(NotFound), connected(find_engine()) as client:
        client.images.get(names[0])


@pytest.mark.parametrize("asks_who", [False, True])
def test_what_was_pushed_is_pulled_by_a_job_with_the_same_digest(
    tmp_path: Path, small: str, asks_who: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with registry(tmp_path / "registry", asks_who=asks_who) as name:
        reference = f"{name}/maquette/recon:{small}"
        if asks_who:
            with pytest.raises(CredentialsError, match="the registry refuses") as told:
                building.push(reference, find_engine(), said.append)
            assert f"`docker login {name}`" in told.value.hint
            write_login(tmp_path / "docker", name)
            monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        building.push(reference, find_engine(), said.append)
        with connected(find_engine()) as client:
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
        with connected(find_engine()) as client:
            after = client.images.get(reference)
    assert after.id == before.id and after.attrs["RepoDigests"] == digests
    assert (job.scene / "result").read_text().strip() == str(1 << 20)
    assert any("Pushed" in line for line in said)
    remove_containers_on(tmp_path)


def test_a_registry_that_is_not_there_is_told(tmp_path: Path, image: str) -> None:
    done = maquette(tmp_path, "images", "push", "REGISTRY=127.0.0.1:1", "VARIANT=cpu")
    assert done.returncode == 12
    assert "pushing 127.0.0.1:1/maquette/recon:" in done.stderr
    assert "connection refused" in done.stderr and "REGISTRY=" in done.stderr


def test_who_is_not_known_to_the_registry_is_told_to_log_in(tmp_path: Path, image: str) -> None:
    with registry(tmp_path / "registry", asks_who=True) as name:
        done = maquette(tmp_path, "images", "push", f"REGISTRY={name}", "VARIANT=cpu")
    assert done.returncode == 11, done.stderr
    assert "the registry refuses" in done.stderr and f"`docker login {name}`" in done.stderr


@pytest.mark.parametrize("registry", ["https://ghcr.io/you", "ghcr.io/You", "gh cr.io"])
def test_a_registry_that_is_no_name_is_told(tmp_path: Path, registry: str) -> None:
    done = maquette(tmp_path, "images", "push", f"REGISTRY={registry}", "VARIANT=cpu")
    assert done.returncode == 10 and f"REGISTRY={registry}" in done.stderr, done.stderr


def test_an_image_that_was_not_built_is_told(tmp_path: Path) -> None:
    with connected(find_engine()) as client:
        if client.images.list("maquette/recon:0.1.0-cuda12"):
            pytest.skip("the image cuda12 has been built here")
    done = maquette(tmp_path, "images", "push", "REGISTRY=127.0.0.1:1", "VARIANT=cuda12")
    assert done.returncode == 13 and "`make images" in done.stderr
