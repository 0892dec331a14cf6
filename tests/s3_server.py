"""A real S3 server for tests, and places in it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from http_proxy import reached
from maquette.storage import embedded
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.selection import selection
from maquette.storage.signing import Credentials
from maquette.storage.syncing import Sync, SyncOptions, SyncResult
from waiting import wait_for

KEYS = Credentials("maquette-tests", "a-secret-that-no-output-may-hold")
BUCKET = "maquette-tests"


@contextmanager
def s3_server(folder: Path) -> Iterator[Running]:
    with embedded.serving(folder, keys=KEYS) as running:
        yield running


def place_in(
    endpoint: str, prefix: str, bucket: str = BUCKET, *, is_ours_alone: bool = False
) -> ObjectStore:
    """The place `prefix` of the server behind `endpoint`; always the same store to the index."""
    location = StoreLocation(endpoint, identity="tests", is_ours_alone=is_ours_alone)
    return open_store(location, KEYS, bucket, prefix)


def syncing(root: Path, bucket: ObjectStore, only: str = "") -> Sync:
    return Sync(root, bucket, selection(root, only))


def push(root: Path, bucket: ObjectStore, only: str = "", **options: object) -> SyncResult:
    return _run(root, bucket, SyncOptions("push", **options), only)


def pull(root: Path, bucket: ObjectStore, only: str = "", **options: object) -> SyncResult:
    return _run(root, bucket, SyncOptions("pull", **options), only)


def _run(root: Path, bucket: ObjectStore, options: SyncOptions, only: str) -> SyncResult:
    return syncing(root, bucket, only).run(options, lambda *_: None, lambda _: None)


def write_scene(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def content_of(root: Path) -> dict[str, bytes]:
    """Every file of a scene that is not bookkeeping."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] != ".maquette"
    }


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def unfinished_uploads(bucket: ObjectStore) -> list[str]:
    """Ids of the uploads in parts that are under way below the prefix."""
    client = foreign_client(bucket)
    answer = client.list_multipart_uploads(Bucket=bucket.name, Prefix=bucket.key(""))
    return [item["UploadId"] for item in answer.get("Uploads", ())]


def foreign_client(bucket: ObjectStore) -> Any:
    """The same store for another program, which knows nothing of ours."""
    import boto3
    from botocore.config import Config

    style = "virtual" if bucket.location.host_style else "path"
    return boto3.client(
        "s3", endpoint_url=reached(bucket.location.endpoint), region_name=bucket.location.region,
        aws_access_key_id=KEYS.access_key, aws_secret_access_key=KEYS.secret_key,
        config=Config(s3={"addressing_style": style}, proxies={}),
    )  # fmt: skip


def put_foreign(bucket: ObjectStore, path: str, content: bytes) -> None:
    """Write an object as another program would, which knows nothing of our manifest."""
    foreign_client(bucket).put_object(Bucket=bucket.name, Key=bucket.key(path), Body=content)


@contextmanager
def host_style_server(folder: Path) -> Iterator[str]:
    """A server that takes the bucket's name from the host name alone; yields its endpoint."""
    with _serving(folder, "--force-path-style=false") as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def tls_server(folder: Path, certificates: Path) -> Iterator[str]:
    """A server that is spoken to over TLS; yields its endpoint.

    Args:
        certificates: Folder of `remote_daemons.write_certificates`.
    """
    pair = (
        "--cert",
        str(certificates / "server.pem"),
        "--key",
        str(certificates / "server-key.pem"),
    )
    with _serving(folder, *pair) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def _serving(folder: Path, *words: str) -> Iterator[int]:
    argv = [
        *(str(embedded.program()), "serve", "s3", str(folder), "--addr", "127.0.0.1:0"),
        *("--no-unicode-normalization", *words),
    ]
    pair = f'"{KEYS.access_key},{KEYS.secret_key}"'
    variables = {**os.environ, "RCLONE_CONFIG": os.devnull, "RCLONE_AUTH_KEY": pair}
    told = folder.with_suffix(".log")
    with (
        open(told, "wb") as log,
        subprocess.Popen(argv, env=variables, stdout=log, stderr=log) as server,
    ):
        try:
            yield int(wait_for(lambda: port_told_in(told), what="the server to listen"))
        finally:
            server.terminate()


def port_told_in(log: Path) -> str:
    """The port that a server chose itself, from its log; empty until it listens."""
    found = re.search(r"(?:server on|listening on) \S*127\.0\.0\.1:(\d+)", log.read_text())
    return found[1] if found else ""
