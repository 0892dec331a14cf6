"""A store behind an HTTP proxy: what the wire promises holds there too, and where it is used."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import pytest

from command_line import maquette
from fault_proxy import Fault, Gate, Judge, proxy_to
from http_proxy import NAME, HttpProxy, behind, use
from maquette.errors import JobFailed, MaquetteError
from maquette.storage import datastores, handover
from maquette.storage.boto3_store import Boto3Store
from maquette.storage.datastores import DataStore
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import open_store
from maquette.storage.wire_store import WireStore
from remote_daemons import write_certificates
from s3_server import KEYS, content_of, place_in, pull, push, tls_server, write_scene
from storage_scenes import files, large, moving, sometimes
from strict_store import strict
from waiting import wait_for

pytestmark = pytest.mark.behind_proxy  # for the tests that ask for a bucket


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine where nobody listens, and nobody else will."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def tls_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not shutil.which("openssl"):
        pytest.skip("no openssl: `apt-get install openssl`")
    write_certificates(tmp_path / "certificates", NAME)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificates/ca.pem"))
    (tmp_path / "server").mkdir()
    with tls_server(tmp_path / "server", tmp_path / "certificates") as endpoint:
        yield endpoint


def test_a_scene_moves_through_the_proxy_and_its_log_tells_so(
    scene: Path,
    tmp_path: Path,
    tls_endpoint: str,
    proxy: HttpProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over TLS, so that the proxy sees a tunnel; the name leads nowhere but through it."""
    use(proxy, monkeypatch)
    write_scene(scene, {**files(51, 10, 5000), **large(51), "empty.txt": b""})
    bucket = place_in(behind(tls_endpoint), "thing")
    assert isinstance(bucket, Boto3Store)
    assert push(scene, bucket).files == 12
    assert push(scene, bucket).files == 0
    assert pull(tmp_path / "other", bucket).files == 12
    assert content_of(tmp_path / "other") == content_of(scene)
    bucket.close()
    size = sum(map(len, content_of(scene).values()))
    wait_for(lambda: proxy.bytes_from(behind(tls_endpoint)) > size, what="the proxy's log")


def test_a_store_that_nobody_vouches_for_gets_nothing(
    scene: Path, tls_endpoint: str, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(proxy, monkeypatch)
    monkeypatch.delenv("AWS_CA_BUNDLE")
    write_scene(scene, files(52, 3, 100))
    with pytest.raises(JobFailed, match="does not answer as it should") as caught:
        push(scene, place_in(behind(tls_endpoint), "thing"))
    assert "certificate" in caught.value.detail.lower() and "(1 attempts)" in caught.value.detail


def test_a_push_killed_at_the_end_of_an_upload_sends_no_part_again(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, {**files(53, 3, 100), **large(53)})
    started = threading.Event()

    def kill(method: str, path: str) -> Fault | None:
        if method != "POST" or "uploadId=" not in path:
            return None
        assert started.wait(270)
        child.kill()
        return Fault(request_bytes=0)

    with proxy_to(bucket.location.endpoint, kill) as front:
        child = moving("push", scene, place_in(front.endpoint, bucket.prefix))
        started.set()
        child.communicate(timeout=270)
        assert sum("partNumber=" in line for line in front.seen) == 4
    with proxy_to(bucket.location.endpoint) as front:
        push(scene, place_in(front.endpoint, bucket.prefix))
        assert not [line for line in front.seen if "partNumber=" in line]
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


def test_requests_that_fail_are_repeated(scene: Path, tmp_path: Path, bucket: ObjectStore) -> None:
    write_scene(scene, {**files(54, 20, 5000), **large(54)})
    cuts = (Fault(answer_bytes=0), Fault(answer_bytes=1000), Fault(request_bytes=1000))
    kinds = cycle((Fault(503, "SlowDown"), *cuts))
    some = sometimes(54, 0.2, Fault())

    def judge(method: str, path: str) -> Fault | None:
        return next(kinds) if some(method, path) else None

    with proxy_to(bucket.location.endpoint, judge) as front:
        shaky = place_in(front.endpoint, bucket.prefix)
        push(scene, shaky)
        pull(tmp_path / "other", shaky)
    assert content_of(tmp_path / "other") == content_of(scene)
    assert push(scene, bucket, relist=True).files == 0


def refusing(code: str, status: int) -> Judge:
    return lambda method, path: Fault(status, code)


@pytest.mark.parametrize(
    ("judge", "gate"),
    [
        *((refusing(code, 403), None) for code in ("AccessDenied", "InvalidAccessKeyId", "Odd")),
        (refusing("NoSuchBucket", 404), None),
        (None, strict("us-east-1", clock_ahead=timedelta(hours=1))),
        (None, strict("gra")),
        (None, strict("gra", moved_to="refused.s3.gra.example.org")),
    ],
    ids=["denied", "key", "unknown word", "no bucket", "clock", "region", "moved"],
)
def test_refusals_are_told_as_without_a_proxy(
    server: Running,
    proxy: HttpProxy,
    monkeypatch: pytest.MonkeyPatch,
    judge: Judge | None,
    gate: Gate | None,
) -> None:
    with proxy_to(server.location.endpoint, judge, gate=gate) as front:
        use(None, monkeypatch)
        direct = refusals(place_in(front.endpoint, "refused"))
        use(proxy, monkeypatch)
        proxied = place_in(behind(front.endpoint), "refused")
        assert isinstance(proxied, Boto3Store) and refusals(proxied) == direct
        assert not any(code == 1 for code, *_ in direct)


def refusals(bucket: ObjectStore) -> list[tuple[int, str, str, str]]:
    """What is said to each kind of request; of the ETag of nothing."""
    data, digest = b"x", bytes.fromhex("9dd4e461268c8034f5c8564e155c67a6")
    return [
        told(lambda: bucket.objects()),
        told(lambda: bucket.head("a")),
        told(lambda: bucket.get_if_changed("a", "")),
        told(lambda: bucket.put("a", data, digest, digest.hex(), {})),
        told(lambda: bucket.start_upload("a")),
        told(lambda: bucket.delete("a")),
        told(lambda: bucket.ensure()),
    ]


def told(work: Callable[[], object]) -> tuple[int, str, str, str]:
    try:
        work()
    except MaquetteError as error:
        return error.exit_code, error.what, error.detail, error.hint
    return 0, "", "", ""


def test_secrets_are_handed_over_through_it(bucket: ObjectStore) -> None:
    bucket.ensure()
    line = handover.leave(bucket, "job-1", {"A": "secret"})
    assert handover.fetch(line) == {"A": "secret"}
    handover.remove(bucket, "job-1")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_can_not_be_reached_is_named(
    scheme: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)
    variable = f"{scheme}_proxy"
    use(None, monkeypatch, **{variable: f"http://me:hidden@127.0.0.1:{closed_port}"})
    code, what, detail, hint = told(lambda: place_in(f"{scheme}://{NAME}:9", "thing").objects())
    proxy = f"`http://127.0.0.1:{closed_port}` ({variable})"
    assert code == 12
    assert what.startswith(f"the proxy can not be reached: {proxy}, while listing `s3://")
    assert hint == f"correct {variable}, or go to the store directly: `export NO_PROXY={NAME}`"
    assert "hidden" not in what + detail + hint


@pytest.mark.parametrize(("scheme", "status"), [("http", 403), ("http", 407), ("https", 501)])
def test_a_proxy_that_lets_nobody_through_is_named(
    scheme: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)
    with proxy_to("http://127.0.0.1:9", lambda *_: Fault(status)) as barring:
        use(None, monkeypatch, ALL_PROXY=barring.endpoint)
        with pytest.raises(JobFailed, match="does not let us through") as caught:
            place_in(f"{scheme}://{NAME}:9", "thing").objects()
    assert f"`{barring.endpoint}` (ALL_PROXY)" in caught.value.what
    assert str(status) in caught.value.detail and NAME in caught.value.hint


def test_no_proxy_goes_directly_and_so_does_the_built_in_store(
    person: Path, server: Running, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{closed_port}"
    use(None, monkeypatch, HTTP_PROXY=dead, https_proxy=dead)
    alone = StoreLocation(server.location.endpoint, is_ours_alone=True)
    assert isinstance(open_store(alone, KEYS, "any", "thing"), WireStore)
    assert isinstance(place_in("https://127.0.0.1:9", "thing"), WireStore)
    assert isinstance(place_in(f"https://{NAME}:9", "thing"), Boto3Store)
    monkeypatch.setenv("NO_PROXY", f"example.org,{NAME}")
    assert isinstance(place_in(f"https://{NAME}:9", "thing"), WireStore)
    write_scene(person / "scenes/thing", {"report.json": b"{}"})
    assert maquette(person, "data", "push", "MODEL=thing").returncode == 0


def test_a_data_store_behind_a_proxy_is_checked(person: Path, endpoint_behind_proxy: str) -> None:
    datastores.add("NEURALANGELO", DataStore(endpoint_behind_proxy, "us-east-1"))
    done = maquette(person, "datastore", "check", "NEURALANGELO", "MODEL=behind")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "NEURALANGELO works"
