"""Every pulled byte is checked: by CRC-32 of each part where the manifest has them, else by MD5."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError, JobFailed
from maquette.storage import checksums, etags
from maquette.storage.etags import new_md5
from maquette.storage.manifest import MANIFEST
from maquette.storage.object_store import ObjectStore
from s3_server import content_of, place_in, pull, push, put_foreign, write_scene
from storage_scenes import BIG, files, interrupt_download, large

pytestmark = pytest.mark.usefixtures("small_parts")
SMALL = "images/0001.jpg"
PARTS = 4


def manifest_of(bucket: ObjectStore) -> dict[str, Any]:
    return dict(json.loads(bucket.get_if_changed(MANIFEST, "").body))


def change_manifest(bucket: ObjectStore, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = manifest_of(bucket)
    change(manifest)
    put_foreign(bucket, MANIFEST, json.dumps(manifest, separators=(",", ":")).encode())


def without_sums(manifest: dict[str, Any]) -> None:
    """As earlier versions wrote it."""
    del manifest["crc32"]


def as_pushed(manifest: dict[str, Any]) -> None:
    assert set(manifest["crc32"]) == set(manifest["objects"])


both = pytest.mark.parametrize("known", [as_pushed, without_sums], ids=["crc", "md5"])


def of_parts(content: bytes) -> str:
    starts = range(0, max(len(content), 1), etags.PART_BYTES)
    return "".join(f"{zlib.crc32(content[at : at + etags.PART_BYTES]):08x}" for at in starts)


def flipping(path: str, numbers: set[int]) -> tuple[Callable[[str, str], Fault | None], list[str]]:
    """Falsify some of the answers, counted from 1, to requests for a path."""
    asked: list[str] = []

    def judge(method: str, target: str) -> Fault | None:
        if method != "GET" or path not in target:
            return None
        asked.append(target)
        return Fault(flip=True) if not numbers or len(asked) in numbers else None

    return judge, asked


def test_the_manifest_has_the_sums_of_what_was_pushed(scene: Path, bucket: ObjectStore) -> None:
    content = {**files(30, 3, 5000), **large(30), "empty.txt": b""}
    write_scene(scene, content)
    push(scene, bucket)
    manifest = manifest_of(bucket)
    assert manifest["crc32"] == {path: of_parts(data) for path, data in content.items()}
    # Earlier versions read these rows; what they write has no sums, never old ones.
    assert {len(row) for row in manifest["objects"].values()} == {4}


def test_a_manifest_of_an_earlier_version_stays_as_it_is(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, files(29, 3, 5000))
    push(scene, bucket)
    change_manifest(bucket, without_sums)
    with proxy_to(bucket.location.endpoint) as proxy:
        push(scene, place_in(proxy.endpoint, bucket.prefix), relist=True)
    assert not any(line.startswith("PUT") for line in proxy.seen)
    (scene / SMALL).write_bytes(b"new")
    push(scene, bucket)
    assert set(manifest_of(bucket)["crc32"]) == {SMALL}


def test_a_resumed_upload_has_the_sums_of_all_parts(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, large(31))

    def judge(method: str, path: str) -> Fault | None:
        return Fault(403, "AccessDenied") if "partNumber=3" in path else None

    with proxy_to(bucket.location.endpoint, judge) as proxy, pytest.raises(CredentialsError):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
    push(scene, bucket)
    assert manifest_of(bucket)["crc32"] == {BIG: of_parts(large(31)[BIG])}


def test_a_damaged_part_is_fetched_again_and_only_that(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(32))
    push(scene, bucket)
    judge, asked = flipping(BIG, {2, 4})
    with proxy_to(bucket.location.endpoint, judge) as proxy:
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert len(asked) == PARTS + 2
    assert content_of(tmp_path / "other") == content_of(scene)


@both
@pytest.mark.parametrize("path", [SMALL, MANIFEST])
def test_a_small_object_that_was_falsified_on_its_way_is_fetched_again(
    scene: Path,
    tmp_path: Path,
    bucket: ObjectStore,
    known: Callable[[dict[str, Any]], None],
    path: str,
) -> None:
    write_scene(scene, files(33, 3, 5000))
    push(scene, bucket)
    change_manifest(bucket, known)
    judge, asked = flipping(path, {1, 2})
    with proxy_to(bucket.location.endpoint, judge) as proxy:
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert len(asked) == 3
    assert content_of(tmp_path / "other") == content_of(scene)


@both
@pytest.mark.parametrize("path", [SMALL, BIG])
def test_what_stays_damaged_never_gets_its_name(
    scene: Path,
    tmp_path: Path,
    bucket: ObjectStore,
    known: Callable[[dict[str, Any]], None],
    path: str,
) -> None:
    write_scene(scene, {**files(34, 2, 5000), **large(34)})
    push(scene, bucket)
    change_manifest(bucket, known)
    other = tmp_path / "other"
    judge, _ = flipping(path, set())
    with (
        proxy_to(bucket.location.endpoint, judge) as proxy,
        pytest.raises(JobFailed, match="does not have its checksum") as caught,
    ):
        pull(other, place_in(proxy.endpoint, bucket.prefix))
    assert path in caught.value.what and not (other / path).exists()
    pull(other, bucket)
    assert content_of(other) == content_of(scene)


def pull_with_a_wrong_sum(root: Path, bucket: ObjectStore) -> None:
    """The last part of the large file seems damaged each time, at a store that keeps its ETags."""
    tag = manifest_of(bucket)["objects"][BIG][1]
    change_manifest(bucket, _spoil_last_sum)

    def judge(method: str, path: str) -> Fault | None:
        return Fault(etag=tag) if method == "HEAD" and BIG in path else None

    with (
        proxy_to(bucket.location.endpoint, judge) as proxy,
        pytest.raises(JobFailed, match="does not have its checksum"),
    ):
        pull(root, place_in(proxy.endpoint, bucket.prefix))
    assert content_of(root) == {}
    right = of_parts(bucket.get_if_changed(BIG, "").body)[-8:]
    change_manifest(bucket, lambda manifest: _spoil_last_sum(manifest, right))


def test_one_part_that_stays_damaged_leaves_the_others_there(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    """The next pull asks only for what is missing."""
    write_scene(scene, large(35))
    push(scene, bucket)
    other = tmp_path / "other"
    pull_with_a_wrong_sum(other, bucket)
    with proxy_to(bucket.location.endpoint) as proxy:
        pull(other, place_in(proxy.endpoint, bucket.prefix))
    assert sum(BIG in line for line in proxy.seen) == 1
    assert content_of(other) == content_of(scene)


def _spoil_last_sum(manifest: dict[str, Any], digits: str = "00000000") -> None:
    manifest["crc32"][BIG] = manifest["crc32"][BIG][:-8] + digits


@pytest.mark.parametrize(
    "found",
    [{BIG: "12345678"}, {BIG: ""}, {BIG: None}, {"gone.txt": "12345678"}, {}],
    ids=str,
)
def test_sums_that_do_not_fit_the_object_do_not_count(
    scene: Path, tmp_path: Path, bucket: ObjectStore, found: dict[str, Any]
) -> None:
    write_scene(scene, large(36))
    push(scene, bucket)
    change_manifest(bucket, lambda manifest: manifest.update(crc32=found))
    assert pull(tmp_path / "other", bucket).files == 1
    assert content_of(tmp_path / "other") == content_of(scene)


@both
def test_an_interrupted_pull_goes_on_whichever_sums_it_began_with(
    scene: Path, tmp_path: Path, bucket: ObjectStore, known: Callable[[dict[str, Any]], None]
) -> None:
    """The manifest has no sums first and has them later, or the other way round."""
    write_scene(scene, large(37))
    push(scene, bucket)
    pushed, other = manifest_of(bucket), tmp_path / "other"
    change_manifest(bucket, known)
    assert interrupt_download(other, bucket) == 2
    put_foreign(bucket, MANIFEST, json.dumps(pushed).encode())
    if known is as_pushed:
        change_manifest(bucket, without_sums)
    pull(other, bucket)
    assert content_of(other) == content_of(scene)
    assert list((other / ".maquette/incoming").iterdir()) == []


@pytest.mark.parametrize("whole", [False, True], ids=["bytes", "a part"])
def test_a_part_that_the_disk_lost_is_fetched_again(
    scene: Path, tmp_path: Path, bucket: ObjectStore, whole: bool
) -> None:
    write_scene(scene, large(38))
    push(scene, bucket)
    other = tmp_path / "other"
    pull_with_a_wrong_sum(other, bucket)
    (record,) = (other / ".maquette/incoming").glob("*.parts")
    with open(record.with_suffix(""), "r+b") as file:
        file.write(bytes(etags.PART_BYTES) if whole else b"lost")
    with proxy_to(bucket.location.endpoint) as proxy:
        pull(other, place_in(proxy.endpoint, bucket.prefix))
    assert sum(BIG in line for line in proxy.seen) == 2  # this one and the one that was wrong
    assert content_of(other) == content_of(scene)


def dated_earlier(path: str, manifest: dict[str, Any]) -> None:
    manifest["objects"][path][3] -= 2


@pytest.mark.parametrize("path", [SMALL, BIG])
def test_what_another_program_wrote_is_not_measured_by_our_sums(
    scene: Path, tmp_path: Path, bucket: ObjectStore, path: str
) -> None:
    """Same name, same size, other content; the manifest knows nothing of it, before and after.

    The manifest notes an earlier second than that of its writing: rclone changes a large object's
    ETag by itself, and then only the time, in seconds, tells that another one stands there.
    """
    write_scene(scene, {**files(39, 3, 5000), **large(39)})
    push(scene, bucket)
    change_manifest(bucket, partial(dated_earlier, path))
    foreign = bytes(reversed(content_of(scene)[path]))
    put_foreign(bucket, path, foreign)
    wanted = {**content_of(scene), path: foreign}
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == wanted
    write_scene(tmp_path / "other", {"new.txt": b"new"})
    push(tmp_path / "other", bucket, relist=True)
    assert path not in manifest_of(bucket)["crc32"]
    pull(tmp_path / "third", bucket)
    assert content_of(tmp_path / "third") == {**wanted, "new.txt": b"new"}


@pytest.mark.parametrize("size", [0, 1, checksums._CHUNK_BYTES, 3 * checksums._CHUNK_BYTES + 5])
def test_both_sums_are_those_of_all_the_bytes(size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    whole = new_md5()
    whole.update(content)
    md5, crc = checksums.md5_and_crc32(content)
    assert (md5.hexdigest(), crc.hexdigest()) == (whole.hexdigest(), f"{zlib.crc32(content):08x}")
