"""A store and a network that fail or falsify: nothing is lost, and all arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError, JobFailed, MaquetteError
from maquette.storage.object_store import ObjectStore
from s3_server import (
    content_of,
    place_in,
    pull,
    push,
    write_scene,
)
from storage_scenes import files, large, sometimes

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, "InternalError"),
        Fault(503, "SlowDown"),
        Fault(503, "ServiceUnavailable"),
        Fault(429, "TooManyRequests"),
        Fault(answer_bytes=0),
        Fault(answer_bytes=1000),
        Fault(request_bytes=0),
        Fault(request_bytes=1000),
    ],
    ids=str,
)
def test_every_fifth_request_fails_and_all_arrives(
    scene: Path, tmp_path: Path, bucket: ObjectStore, fault: Fault
) -> None:
    write_scene(scene, {**files(1, 30, 5000), **large(1)})
    with proxy_to(bucket.location.endpoint, sometimes(2, 0.2, fault)) as proxy:
        shaky = place_in(proxy.endpoint, bucket.prefix)
        push(scene, shaky)
        pull(tmp_path / "other", shaky)
    assert content_of(tmp_path / "other") == content_of(scene)
    pull(tmp_path / "straight", bucket, relist=True)
    assert content_of(tmp_path / "straight") == content_of(scene)


@pytest.mark.behind_proxy
def test_falsified_downloads_are_noticed_and_fetched_again(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, files(3, 20, 5000))
    push(scene, bucket)
    with proxy_to(bucket.location.endpoint, sometimes(4, 0.3, Fault(flip=True))) as proxy:
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert content_of(tmp_path / "other") == content_of(scene)


def test_a_falsified_large_download_never_gets_its_name(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, large(5))
    push(scene, bucket)

    def judge(method: str, path: str) -> Fault | None:
        return Fault(flip=True) if path.endswith("big.pt") and method == "GET" else None

    with (
        proxy_to(bucket.location.endpoint, judge) as proxy,
        pytest.raises(JobFailed, match="checksum"),
    ):
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert content_of(tmp_path / "other") == {}
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.behind_proxy
def test_a_wrong_checksum_of_an_upload_is_an_error_and_nothing_is_taken_for_done(
    scene: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)
    write_scene(scene, files(6, 3, 100))

    def judge(method: str, path: str) -> Fault | None:
        return Fault(etag="0" * 32) if "0001.jpg" in path else None

    with (
        proxy_to(bucket.location.endpoint, judge) as proxy,
        pytest.raises(JobFailed) as caught,
    ):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
    assert "checksum" in caught.value.detail
    assert push(scene, bucket, relist=True).plan.conflicts == ()


@pytest.mark.behind_proxy
def test_a_refusal_for_good_is_not_repeated(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, files(7, 3, 100))
    with proxy_to(bucket.location.endpoint, lambda *_: Fault(403, "AccessDenied")) as proxy:
        with pytest.raises(CredentialsError, match="may not do that"):
            push(scene, place_in(proxy.endpoint, bucket.prefix))
        assert len(proxy.seen) == len(set(proxy.seen))


@pytest.mark.behind_proxy
def test_redirects_are_told_not_followed(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, files(16, 1, 10))
    with (
        proxy_to(bucket.location.endpoint, lambda *_: Fault(301, "PermanentRedirect")) as proxy,
        pytest.raises(MaquetteError, match="another endpoint"),
    ):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
