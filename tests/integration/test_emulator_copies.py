"""What the emulator copies while the job works on in the same volume; nothing of it gets lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maquette.emulator import objects
from maquette.emulator.models import Volume
from maquette.emulator.objects import Access, CopyProgress, Stores
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore
from s3_server import KEYS, content_of, place_in, pull, push, write_scene

PREFIX = "thing"


class Watched(CopyProgress):
    """Counts as usual, and lets something happen when the first file has been copied."""

    def __init__(self, happening: Callable[[], None]) -> None:
        super().__init__()
        self._happening = happening

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "completed" and value == 1:
            self._happening()


@pytest.fixture
def bucket(server: Running, tmp_path: Path) -> ObjectStore:
    return place_in(server.location.endpoint, PREFIX, f"copies-{abs(hash(tmp_path)):x}"[:40])


def stores(server: Running, before: Callable[[], object] = lambda: None) -> Stores:
    """The server under any alias; `before` happens after a volume was looked through."""

    @contextmanager
    def opened(alias: str) -> Iterator[Access]:
        before()
        yield Access(server.location.endpoint, "us-east-1", KEYS.access_key, KEYS.secret_key)

    return opened


def volume(bucket: ObjectStore, permission: str = "RW") -> Volume:
    source = {"dataStore": {"alias": "ANY", "container": bucket.name, "prefix": PREFIX}}
    facts = {**source, "mountPath": "/scenes/thing", "permission": permission}
    return Volume.model_validate(facts)


def in_bucket(bucket: ObjectStore, folder: Path) -> dict[str, bytes]:
    pull(folder, bucket)
    return content_of(folder)


def test_a_file_that_changes_during_a_push_is_sent_by_the_next(
    server: Running, bucket: ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "volume"
    write_scene(folder, {"report.json": b"{}"})

    def change() -> None:
        write_scene(folder, {"report.json": b'{"changed": true}'})

    objects.push(stores(server), volume(bucket), folder, Watched(change))
    moved = CopyProgress()
    objects.push(stores(server), volume(bucket), folder, moved)
    assert moved.completed == 1
    assert in_bucket(bucket, tmp_path / "seen") == {"report.json": b'{"changed": true}'}
    again = CopyProgress()
    objects.push(stores(server), volume(bucket), folder, again)
    assert (again.completed, again.skipped) == (0, 1)


def test_a_file_made_before_a_requested_pull_is_pushed_afterwards(
    server: Running, bucket: ObjectStore, tmp_path: Path
) -> None:
    given, folder = tmp_path / "given", tmp_path / "volume"
    write_scene(given, {"transforms.json": b"{}"})
    push(given, bucket)
    objects.pull(stores(server), volume(bucket), folder, CopyProgress())
    write_scene(folder, {"report.json": b"made by the job"})
    objects.pull(stores(server), volume(bucket), folder, CopyProgress())
    objects.push(stores(server), volume(bucket, "RWD"), folder, CopyProgress())
    seen = in_bucket(bucket, tmp_path / "seen")
    assert seen == {"transforms.json": b"{}", "report.json": b"made by the job"}


@pytest.mark.parametrize("permission", ["RW", "RWD"])
def test_a_file_that_disappears_during_a_push_is_no_failure(
    server: Running, bucket: ObjectStore, tmp_path: Path, permission: str
) -> None:
    folder, moved = tmp_path / "volume", CopyProgress()
    write_scene(folder, {"report.json": b"{}", "transforms.json": b"{}"})
    remove = (folder / "report.json").unlink
    objects.push(stores(server, remove), volume(bucket, permission), folder, moved)
    assert (moved.completed, moved.skipped, moved.failed) == (1, 1, 0)
    assert in_bucket(bucket, tmp_path / "seen") == {"transforms.json": b"{}"}
    write_scene(folder, {"report.json": b"back"})
    objects.push(stores(server), volume(bucket, permission), folder, CopyProgress())
    assert in_bucket(bucket, tmp_path / "seen")["report.json"] == b"back"
