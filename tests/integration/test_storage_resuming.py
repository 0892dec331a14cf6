"""Large files that were interrupted: what is there is kept, what nobody wants is swept."""

from __future__ import annotations

import json
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError
from maquette.storage import etags, pending_uploads, wire
from maquette.storage.manifest import MANIFEST
from maquette.storage.object_store import ObjectStore
from maquette.storage.wire import Wire
from s3_server import (
    content_of,
    foreign_client,
    place_in,
    pull,
    push,
    put_foreign,
    syncing,
    unfinished_uploads,
    write_scene,
)
from storage_scenes import BIG, interrupt_download, large

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.mark.behind_proxy
def test_an_interrupted_upload_sends_only_the_missing_parts(
    scene: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(10))
    sent: list[str] = []

    def judge(method: str, path: str) -> Fault | None:
        if method == "PUT" and "partNumber=" in path:
            sent.append(path.partition("partNumber=")[2].partition("&")[0])
            if len(sent) == 3:
                return Fault(403, "AccessDenied")
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        shaky = place_in(proxy.endpoint, bucket.prefix)
        with pytest.raises(CredentialsError):
            push(scene, shaky)
        first = len(sent)
        push(scene, shaky)
    assert first < len(sent) < 2 * 4
    assert bucket.head("runs/neuralangelo/experiments/big.pt").size == 3 * etags.PART_BYTES + 777


def test_an_upload_of_a_file_that_is_no_longer_large_is_dropped(
    scene: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(11))
    _interrupt_upload(scene, bucket)
    assert len(unfinished_uploads(bucket)) == 1
    (scene / BIG).write_bytes(b"small now")
    push(scene, bucket)
    assert unfinished_uploads(bucket) == []
    assert set(bucket.objects()) == {BIG, MANIFEST}


def test_abandoned_uploads_of_ours_are_swept_and_only_those(
    scene: Path, tmp_path: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine that began one is gone; another machine pushes a day later."""
    write_scene(scene, large(11))
    _interrupt_upload(scene, bucket)
    begin = foreign_client(bucket).create_multipart_upload
    foreign = begin(Bucket=bucket.name, Key=bucket.key("foreign.bin"))["UploadId"]
    other = tmp_path / "other"
    write_scene(other, {"runs/other.pt": large(12)[BIG]})
    push(other, bucket)
    assert len(unfinished_uploads(bucket)) == 2  # a day has not passed
    monkeypatch.setattr(pending_uploads, "_ABANDONED_S", -60)
    (other / "runs/other.pt").touch()
    write_scene(other, {"runs/another.pt": large(13)[BIG]})
    push(other, bucket)
    assert unfinished_uploads(bucket) == [foreign]
    assert set(bucket.objects()) == {"runs/other.pt", "runs/another.pt", MANIFEST}


def test_clearing_a_scene_drops_its_uploads_too(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, large(11))
    _interrupt_upload(scene, bucket)
    sync = syncing(scene, bucket)
    sync.clear(sync.stored())
    assert unfinished_uploads(bucket) == [] and bucket.objects() == {}


def _interrupt_upload(scene: Path, bucket: ObjectStore) -> None:
    def judge(method: str, path: str) -> Fault | None:
        return Fault(403, "AccessDenied") if "partNumber=2" in path else None

    with proxy_to(bucket.location.endpoint, judge) as proxy, pytest.raises(CredentialsError):
        push(scene, place_in(proxy.endpoint, bucket.prefix))


@pytest.mark.behind_proxy
def test_an_interrupted_download_of_a_large_file_continues(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(15))
    push(scene, bucket)
    other = tmp_path / "other"
    assert interrupt_download(other, bucket) == 2
    assert content_of(other) == {}
    with proxy_to(bucket.location.endpoint) as proxy:
        pull(other, place_in(proxy.endpoint, bucket.prefix))
        assert sum(BIG in line for line in proxy.seen) == 2  # of four parts, two had come
    assert content_of(other) == content_of(scene)
    assert list((other / ".maquette/incoming").iterdir()) == []


def test_what_came_before_is_not_trusted_blindly(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    """The disk lost some bytes meanwhile, and the record was torn."""
    write_scene(scene, large(16))
    push(scene, bucket)
    other = tmp_path / "other"
    interrupt_download(other, bucket)
    (record,) = (other / ".maquette/incoming").glob("*.parts")
    with open(record.with_suffix(""), "r+b") as file:
        file.write(b"lost")
    record.write_bytes(record.read_bytes() + b"\n16777216 83")
    assert pull(other, bucket).files == 1
    assert content_of(other) == content_of(scene)


def test_another_content_never_mixes_into_an_interrupted_download(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(17))
    push(scene, bucket)
    other = tmp_path / "other"
    interrupt_download(other, bucket)
    write_scene(scene, large(18))
    push(scene, bucket)
    assert pull(other, bucket).files == 1
    assert content_of(other) == content_of(scene)
    assert list((other / ".maquette/incoming").iterdir()) == []


@pytest.mark.parametrize("later_s", [0, 60], ids=["any time", "within one tick of its clock"])
def test_an_object_that_changes_while_it_comes_is_fetched_anew(
    scene: Path, tmp_path: Path, bucket: ObjectStore, later_s: int
) -> None:
    write_scene(scene, large(19))
    push(scene, bucket)
    _date_objects(bucket, later_s)
    newer, began = large(20)[BIG], []

    def judge(method: str, path: str) -> Fault | None:
        if method == "GET" and BIG in path and not began:
            began.append(path)
            put_foreign(bucket, BIG, newer)
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert began and content_of(tmp_path / "other") == {BIG: newer}


def _date_objects(bucket: ObjectStore, later_s: int) -> None:
    """Let the manifest say that its objects were written so much later."""
    manifest = json.loads(bucket.get_if_changed(MANIFEST, "").body)
    for row in manifest["objects"].values():
        row[3] += later_s
    put_foreign(bucket, MANIFEST, json.dumps(manifest).encode())


@pytest.mark.parametrize("number", range(1, 5))
def test_a_connection_that_is_cut_at_any_part_loses_nothing(
    scene: Path, tmp_path: Path, bucket: ObjectStore, number: int
) -> None:
    write_scene(scene, large(21))
    cut: dict[str, int] = {"PUT": 0, "GET": 0}

    def judge(method: str, path: str) -> Fault | None:
        if BIG not in path or method not in cut:
            return None
        cut[method] += 1
        if cut[method] != number:
            return None
        return Fault(request_bytes=500) if method == "PUT" else Fault(answer_bytes=500)

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        shaky = place_in(proxy.endpoint, bucket.prefix)
        push(scene, shaky)
        pull(tmp_path / "other", shaky)
    assert cut == {"PUT": 5, "GET": 5}
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.behind_proxy
@pytest.mark.parametrize("question", ["uploads", "uploadId"], ids=["begin", "end"])
def test_a_lost_answer_to_the_begin_or_end_of_an_upload_is_no_failure(
    scene: Path, bucket: ObjectStore, question: str
) -> None:
    write_scene(scene, large(22))
    lost: list[str] = []

    def judge(method: str, path: str) -> Fault | None:
        if method == "POST" and re.search(rf"\?{question}(=|$)", path) and not lost:
            lost.append(path)
            return Fault(answer_bytes=0)
        return None

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        assert push(scene, place_in(proxy.endpoint, bucket.prefix)).files == 1
    assert lost and set(bucket.objects()) == {BIG, MANIFEST}
    assert push(scene, bucket, relist=True).files == 0


@pytest.mark.parametrize("request_", ["partNumber=2", "POST .*uploadId="], ids=["part", "end"])
def test_a_store_may_take_its_time_with_parts(
    scene: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    """Longer than other requests may take; to ask again would meet a half-done upload."""
    write_scene(scene, large(23))
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.5)
    asked: list[str] = []

    def judge(method: str, path: str) -> None:
        if re.search(request_, f"{method} {path}"):
            asked.append(path)
            threading.Event().wait(1)

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        assert push(scene, place_in(proxy.endpoint, bucket.prefix)).files == 1
    assert len(asked) == 1 and bucket.head(BIG).size == len(large(23)[BIG])


def test_the_kernel_watches_connections_and_the_built_in_store_has_all_its_time(
    bucket: ObjectStore,
) -> None:
    """A peer that is gone is noticed long before an answer is given up."""
    bucket.head(BIG)
    kept = bucket.wire._idle.get_nowait().sock
    assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    alone = replace(bucket.location, is_ours_alone=True)
    assert Wire(alone, bucket.wire.keys).patience_s > bucket.wire.patience_s > wire.TIMEOUT_S
