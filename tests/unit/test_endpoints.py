"""Endpoints that hold a bucket already."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import maquette
from maquette.errors import ConfigError
from maquette.storage.endpoints import held_bucket
from maquette.storage.object_store import StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.signing import Credentials

KEYS = Credentials("a", "b")


@pytest.mark.parametrize(
    ("endpoint", "bucket", "bare"),
    [
        ("https://mine.s3.gra.io.cloud.ovh.net", "mine", "https://s3.gra.io.cloud.ovh.net"),
        ("https://s3.gra.io.cloud.ovh.net/mine/", "mine", "https://s3.gra.io.cloud.ovh.net"),
        ("https://my.own.s3.eu-west-1.amazonaws.com", "my.own", "https://s3.eu-west-1.amazonaws.com"),
        ("https://mine.s3-eu-west-1.amazonaws.com", "mine", "https://s3-eu-west-1.amazonaws.com"),
        ("https://mine.storage.googleapis.com", "mine", "https://storage.googleapis.com"),
        ("https://mine.fra1.digitaloceanspaces.com", "mine", "https://fra1.digitaloceanspaces.com"),
        ("http://127.0.0.1:9000/mine", "mine", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/mine", "mine", "http://[::1]:9000"),
        ("http://mine.s3.lan:9000", "mine", "http://s3.lan:9000"),
        ("https://gate.example.org/storage/v1/mine", "mine", "https://gate.example.org/storage/v1"),
    ],
)  # fmt: skip
def test_a_bucket_in_the_endpoint_is_refused_before_anything_is_sent(
    endpoint: str, bucket: str, bare: str
) -> None:
    held = held_bucket(endpoint)
    assert held and (held.bucket, held.endpoint) == (bucket, bare)
    with pytest.raises(ConfigError, match="already") as caught:
        open_store(StoreLocation(endpoint), KEYS, bucket, "thing")
    assert f"--endpoint {bare} " in caught.value.hint


@pytest.mark.parametrize(
    "endpoint",
    ["https://other.s3.gra.io.cloud.ovh.net", "https://s3.eu-west-1.amazonaws.com/other"],
)
def test_at_a_public_service_any_bucket_in_the_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="`other`"):
        open_store(StoreLocation(endpoint), KEYS, "mine", "thing")


def test_a_bucket_is_not_put_before_itself() -> None:
    with pytest.raises(ConfigError, match="begins with the bucket `mine`"):
        open_store(StoreLocation("https://mine.store.org", host_style=True), KEYS, "mine", "thing")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.gra.io.cloud.ovh.net",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com",
        "https://0a1b.r2.cloudflarestorage.com",
        "https://mine.example.org",
        "http://127.0.0.1:9000/",
        "https://gate.example.org/storage/v1/s3",
        "http://s3:9000",
    ],
)
def test_other_endpoints_are_taken_as_they_are(endpoint: str) -> None:
    open_store(StoreLocation(endpoint), KEYS, "mine", "thing").close()


def test_adding_an_endpoint_that_looks_like_a_buckets_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    words = ("datastore", "add", "GRA", "--endpoint")
    done = maquette(tmp_path, *words, "https://mine.s3.gra.io.cloud.ovh.net")
    assert done.returncode == 0 and "BUCKET_NAME=mine" in done.stderr
    assert maquette(tmp_path, *words, "https://s3.gra.io.cloud.ovh.net").stderr == ""
