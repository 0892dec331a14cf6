"""A real S3 server for tests, and places in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maquette.storage import embedded
from maquette.storage.bucket import Bucket
from maquette.storage.embedded import Running
from maquette.storage.selection import selection
from maquette.storage.signing import Credentials
from maquette.storage.syncing import Outcome, Sync, Wish
from maquette.storage.wire import Place, Wire

KEYS = Credentials("maquette-tests", "a-secret-that-no-output-may-hold")
BUCKET = "maquette-tests"


@contextmanager
def s3_server(folder: Path, port: int = 0) -> Iterator[Running]:
    with embedded.serving(folder, port=port, keys=KEYS) as running:
        yield running


def place_in(endpoint: str, prefix: str, bucket: str = BUCKET) -> Bucket:
    """The place `prefix` of the server behind `endpoint`; always the same store to the index."""
    return Bucket(Wire(Place(endpoint, identity="tests"), KEYS), bucket, prefix)


def syncing(root: Path, bucket: Bucket, only: str = "") -> Sync:
    return Sync(root, bucket, selection(root, only))


def push(root: Path, bucket: Bucket, only: str = "", **wish: object) -> Outcome:
    return _run(root, bucket, Wish("push", **wish), only)


def pull(root: Path, bucket: Bucket, only: str = "", **wish: object) -> Outcome:
    return _run(root, bucket, Wish("pull", **wish), only)


def _run(root: Path, bucket: Bucket, wish: Wish, only: str) -> Outcome:
    return syncing(root, bucket, only).run(wish, lambda *_: None, lambda _: None)


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
