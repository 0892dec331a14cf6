"""Keys of a session: a push outlives them, and a job is told when they end before it may."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command_line import maquette
from fault_proxy import Fault, Gate, proxy_to
from maquette.errors import CredentialsError
from maquette.storage.key_renewal import keys_of
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import open_store
from s3_server import BUCKET, KEYS, content_of, pull, push, write_scene
from storage_scenes import files, large

PROGRAM = """
import json, pathlib, sys
told = pathlib.Path(sys.argv[1])
count = int(told.read_text()) + 1 if told.exists() else 1
told.write_text(str(count))
print(json.dumps({"Version": 1, "AccessKeyId": sys.argv[2], "SecretAccessKey": sys.argv[3],
                  "SessionToken": f"session-{count}", "Expiration": sys.argv[4]}))
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person whose keys a program makes, for an hour each; how often it was called."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    program, told = tmp_path / "keys.py", tmp_path / "calls"
    program.write_text(PROGRAM)
    ends = datetime.now(UTC) + timedelta(hours=1, seconds=30)
    words = f"{sys.executable} {program} {told} {KEYS.access_key} {KEYS.secret_key} {ends:%FT%TZ}"
    config = tmp_path / "aws"
    config.write_text(f"[default]\ncredential_process = {words}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return told


def ending(every: int) -> Gate:
    """A store for which each session ends after so many requests."""
    used: dict[str, int] = {}
    guard = threading.Lock()

    def gate(headers: Mapping[str, str]) -> Fault | None:
        token = headers["x-amz-security-token"]
        with guard:
            used[token] = used.get(token, 0) + 1
            return Fault(400, "ExpiredToken") if used[token] > every else None

    return gate


def place(endpoint: str, prefix: str) -> ObjectStore:
    return open_store(StoreLocation(endpoint, identity="tests"), keys_of(), BUCKET, prefix)


@pytest.mark.behind_proxy
def test_keys_that_end_in_the_middle_are_made_anew(
    scene: Path, tmp_path: Path, bucket: ObjectStore, calls: Path
) -> None:
    write_scene(scene, {**files(71, 40, 500), **large(71)})
    with proxy_to(bucket.location.endpoint, gate=ending(every=25)) as front:
        assert push(scene, place(front.endpoint, bucket.prefix)).files == 41
        assert pull(tmp_path / "other", place(front.endpoint, bucket.prefix)).files == 41
    assert content_of(tmp_path / "other") == content_of(scene)
    assert int(calls.read_text()) >= 4


def test_a_session_that_nobody_renews_is_told(
    scene: Path, bucket: ObjectStore, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "over")
    write_scene(scene, files(72, 3, 50))
    with (
        proxy_to(bucket.location.endpoint, gate=ending(every=0)) as front,
        pytest.raises(CredentialsError, match="the session token has expired") as caught,
    ):
        push(scene, place(front.endpoint, bucket.prefix))
    assert "log in again" in caught.value.hint and len(front.seen) < 5
    assert not calls.exists()


def test_a_program_for_keys_that_fails_is_told(
    person: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(calls.parent / "aws")
    for process, told in (("/no/such/program", "no/such/program"), ("echo no-json", "JSON")):
        config.write_text(f"[default]\ncredential_process = {process}\n")
        done = maquette(person, "datastore", "check", "NEURALANGELO", "MODEL=thing")
        assert done.returncode == 11, done.stderr
        assert "the AWS profile can not be used: `default`" in done.stderr
        assert told in done.stderr and "credential_process" in done.stderr
