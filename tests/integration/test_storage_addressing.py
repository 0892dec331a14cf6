"""Buckets as host names, against a real server that takes them so."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from command_line import maquette
from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError, JobFailed
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.wire import Wire
from maquette.storage.wire_store import WireStore
from s3_server import (
    KEYS,
    content_of,
    host_style_server,
    pull,
    push,
    unfinished_uploads,
    write_scene,
)
from storage_scenes import BIG, files, large

# Names below localhost are this machine (RFC 6761), but not every resolver knows.
RESOLVER = """
import socket
_known = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    near = isinstance(host, str) and host.endswith(".localhost")
    return _known("127.0.0.1" if near else host, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture(scope="module")
def host_style(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a server that takes the bucket from the host name alone."""
    with host_style_server(tmp_path_factory.mktemp("host-style")) as endpoint:
        yield endpoint


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    exec(RESOLVER, {})


def named(endpoint: str, bucket: str) -> ObjectStore:
    port = urlsplit(endpoint).port
    place = StoreLocation(f"http://localhost:{port}", host_style=True, identity="host style")
    return WireStore(Wire(place, KEYS), bucket, "thing")


def test_a_scene_moves_to_and_from_a_bucket_that_is_a_host_name(
    tmp_path: Path, host_style: str, resolver: None
) -> None:
    """Every request, also the rare ones, names the bucket in its host and not in its path."""
    scene, hosts = tmp_path / "scene", set[str]()
    write_scene(scene, {**files(41, 5, 1000), **large(41), "images/a b+ü.jpg": b"1"})

    def gate(headers: Mapping[str, str]) -> None:
        hosts.add(headers["host"])

    with proxy_to(host_style, gate=gate) as proxy:
        bucket = named(proxy.endpoint, "by-host")
        assert push(scene, bucket).files == 7
        assert pull(tmp_path / "other", bucket).files == 7
        assert push(scene, bucket).files == 0
    assert content_of(tmp_path / "other") == content_of(scene)
    assert hosts == {f"by-host.localhost:{urlsplit(proxy.endpoint).port}"}
    assert not [line for line in proxy.seen if line.split()[1].startswith("/by-host")]


def test_an_interrupted_upload_to_a_host_name_goes_on(
    tmp_path: Path, host_style: str, resolver: None
) -> None:
    """Listing parts and dropping uploads go through boto3, which has its own addressing."""
    scene, sent = tmp_path / "scene", list[str]()
    write_scene(scene, large(42))

    def judge(method: str, path: str) -> Fault | None:
        if method == "PUT" and "partNumber=" in path:
            sent.append(path)
            return Fault(403, "AccessDenied") if len(sent) == 3 else None
        return None

    with proxy_to(host_style, judge) as proxy:
        bucket = named(proxy.endpoint, "resumed")
        with pytest.raises(CredentialsError):
            push(scene, bucket)
        first = len(sent)
        assert unfinished_uploads(bucket)
        assert push(scene, bucket).files == 1
        assert set(bucket.objects()) >= {BIG} and unfinished_uploads(bucket) == []
    assert first < len(sent) < 2 * 4


def test_a_data_store_with_host_names_from_the_command_line(
    person: Path, host_style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person / "resolver").mkdir()
    (person / "resolver/sitecustomize.py").write_text(RESOLVER)
    monkeypatch.setenv("PYTHONPATH", ":".join([str(person / "resolver"), *sys.path]))
    endpoint = f"http://localhost:{urlsplit(host_style).port}"
    write_scene(person / "scenes/thing", {"report.json": b"{}"})
    words = ["MODEL=thing", "BUCKET_NAME=from-cli", "DATASTORE=HOSTS"]
    add = ["datastore", "add", "HOSTS", "--endpoint", endpoint, "--addressing"]
    assert maquette(person, *add, "path").returncode == 0
    checked = maquette(person, "datastore", "check", "HOSTS", *words[:2])
    assert checked.returncode == 13 and "the other --addressing" in checked.stderr
    assert maquette(person, *add, "host").returncode == 0
    checked = maquette(person, "datastore", "check", "HOSTS", *words[:2])
    assert "HOSTS works" in checked.stdout, checked.stderr
    assert maquette(person, "data", "push", *words).returncode == 0
    (person / "scenes/thing/report.json").unlink()
    pulled = maquette(person, "data", "pull", *words)
    assert "pulled 1 file" in pulled.stdout, pulled.stderr


def test_a_bucket_whose_host_name_nobody_knows_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    place = StoreLocation("http://store.invalid:9", host_style=True)
    with pytest.raises(JobFailed) as caught:
        pull(tmp_path / "scene", WireStore(Wire(place, KEYS), "shoes", "thing"))
    assert "http://shoes.store.invalid:9" in caught.value.detail
    assert "--addressing path" in caught.value.hint
