"""Files that change while they move, and two pushes at once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fault_proxy import Fault, proxy_to
from maquette.errors import JobFailed
from maquette.storage import syncing, uploading
from maquette.storage.conflicts import Conflict
from maquette.storage.manifest import MANIFEST
from maquette.storage.object_store import ObjectStore
from maquette.storage.selection import scan
from s3_server import (
    content_of,
    in_thread,
    place_in,
    pull,
    push,
    write_scene,
)
from storage_scenes import files, large


def test_a_large_file_that_changes_while_it_is_uploaded_is_not_taken_for_done(
    scene: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, {**large(13), **files(13, 3, 100)})
    big = scene / "runs/neuralangelo/experiments/big.pt"
    pointer = "runs/neuralangelo/experiments/latest_checkpoint.txt"
    write_scene(scene, {pointer: b"big.pt\n"})

    def judge(method: str, path: str) -> Fault | None:
        if "partNumber=2" in path:
            with open(big, "r+b") as file:
                file.write(b"changed")
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        near = place_in(proxy.endpoint, bucket.prefix)
        with pytest.raises(JobFailed, match="changed while it was uploaded"):
            push(scene, near)
    there = bucket.objects()
    assert "runs/neuralangelo/experiments/big.pt" not in there and pointer not in there
    assert "images/0002.jpg" in there
    assert push(scene, bucket).files == 2


def test_a_file_that_is_removed_meanwhile_does_not_stop_the_others(
    scene: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(scene, files(14, 30, 100))
    victim = scene / "images/0029.jpg"
    real = uploading._steady_read

    def read(file: Path) -> tuple[bytes, os.stat_result]:
        victim.unlink(missing_ok=True)
        return real(file)

    monkeypatch.setattr(uploading, "_steady_read", read)
    push(scene, bucket)
    assert set(bucket.objects()) - {MANIFEST} == set(content_of(scene))


def test_a_file_that_is_removed_while_its_folder_is_read_is_left_out(scene: Path) -> None:
    write_scene(scene, files(15, 3, 100))

    def selects(path: str) -> bool:
        (scene / "images/0001.jpg").unlink(missing_ok=True)
        return True

    assert set(scan(scene, selects).files) == set(content_of(scene))


def test_a_file_that_is_removed_while_sides_are_compared_counts_as_removed(
    scene: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(scene, files(16, 3, 100))
    push(scene, bucket)
    victim = scene / "images/0001.jpg"
    victim.write_bytes(victim.read_bytes())  # the same, with another time: it has to be read
    real = syncing.content_tag

    def content_tag(file: Path) -> str:
        victim.unlink(missing_ok=True)
        return real(file)

    monkeypatch.setattr(syncing, "content_tag", content_tag)
    assert push(scene, bucket, delete=True).removed == 1
    assert set(bucket.objects()) - {MANIFEST} == set(content_of(scene))


def test_two_pushes_at_once_from_two_copies_lose_nothing(
    tmp_path: Path, bucket: ObjectStore
) -> None:
    common = {"report.json": b"{}"}
    one, two = tmp_path / "one", tmp_path / "two"
    mine = {f"images/a{number}.jpg": b"one" for number in range(60)}
    theirs = {f"images/b{number}.jpg": b"two" for number in range(60)}
    write_scene(one, {**common, **mine})
    write_scene(two, {**common, **theirs})
    bucket.ensure()
    buckets = [place_in(bucket.location.endpoint, bucket.prefix) for _ in range(2)]
    threads = [
        in_thread(partial(push, root, place))
        for root, place in zip((one, two), buckets, strict=True)
    ]
    for thread in threads:
        thread.join(60)
    pull(tmp_path / "other", bucket, relist=True)
    assert content_of(tmp_path / "other") == {**common, **mine, **theirs}
    push(one, bucket, relist=True)
    pull(tmp_path / "by manifest", bucket)
    assert content_of(tmp_path / "by manifest") == {**common, **mine, **theirs}


@pytest.mark.behind_proxy
def test_a_bucket_that_several_make_at_once_belongs_to_all_of_them(bucket: ObjectStore) -> None:
    """They find it missing together; the store tells all but one that the name is taken."""
    name = f"new-{bucket.prefix[-12:]}"
    together = threading.Barrier(4)

    def judge(method: str, path: str) -> None:
        if method == "PUT":  # nobody makes it before all have found it missing
            together.wait(270)

    with proxy_to(bucket.location.endpoint, judge) as proxy, ThreadPoolExecutor(4) as pool:
        places = [place_in(proxy.endpoint, "thing", name) for _ in range(4)]
        assert all(place.objects() is None for place in places)
        list(pool.map(lambda place: place.ensure(), places))
        assert all(place.objects() == {} for place in places)
    assert sum(line.startswith("PUT") for line in proxy.seen) == 4


def test_the_same_new_file_pushed_by_two_at_once_is_a_conflict_for_the_slower(
    tmp_path: Path, bucket: ObjectStore
) -> None:
    """The other push happens between our upload and our manifest."""
    one, two = tmp_path / "one", tmp_path / "two"
    write_scene(one, {"report.json": b"one"})
    write_scene(two, {"report.json": b"two!"})
    bucket.ensure()
    began: list[bool] = []

    def judge(method: str, path: str) -> Fault | None:
        if (
            "manifest.json" in path
            and method == "GET"
            and any("PUT" in line for line in proxy.seen)
        ) and not began:
            began.append(True)
            bucket.delete("report.json")  # the other one saw an empty place, as we did
            push(two, bucket)
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy, pytest.raises(Conflict):
        push(one, place_in(proxy.endpoint, bucket.prefix))
    assert content_of(one) == {"report.json": b"one"}
    with pytest.raises(Conflict):
        pull(one, bucket)
    assert content_of(one) == {"report.json": b"one"}
