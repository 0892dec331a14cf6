"""The way to a store over TLS, as it is everywhere but on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from maquette.errors import JobFailed
from maquette.storage.object_store import ObjectStore
from remote_daemons import write_certificates
from s3_server import content_of, place_in, pull, push, tls_server, write_scene
from storage_scenes import files, large


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("no openssl: `apt-get install openssl`")
    write_certificates(tmp_path / "certificates")
    return tmp_path / "certificates"


@pytest.fixture
def endpoint(tmp_path: Path, certificates: Path) -> Iterator[str]:
    (tmp_path / "server").mkdir()
    with tls_server(tmp_path / "server", certificates) as endpoint:
        yield endpoint


def test_a_scene_moves_over_tls(
    scene: Path,
    tmp_path: Path,
    endpoint: str,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates / "ca.pem"))
    write_scene(scene, {**files(41, 30, 5000), **large(41), "empty.txt": b""})
    push(scene, place_in(endpoint, "thing"))
    assert pull(tmp_path / "other", place_in(endpoint, "thing")).files == 32
    assert content_of(tmp_path / "other") == content_of(scene)


def test_a_store_that_nobody_vouches_for_gets_nothing(scene: Path, endpoint: str) -> None:
    write_scene(scene, files(42, 3, 100))
    with pytest.raises(JobFailed, match="does not answer as it should") as caught:
        push(scene, place_in(endpoint, "thing"))
    assert "certificate" in caught.value.detail.lower() and "(1 attempts)" in caught.value.detail


def test_a_certificate_of_another_name_does_not_count(
    scene: Path, endpoint: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates / "ca.pem"))
    write_scene(scene, files(43, 3, 100))
    named: ObjectStore = place_in(endpoint.replace("127.0.0.1", "localhost"), "thing")
    with pytest.raises(JobFailed, match="does not answer as it should") as caught:
        push(scene, named)
    assert "localhost" in caught.value.detail
