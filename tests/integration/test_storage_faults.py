"""A store and a network that fail: nothing is lost, and the same command does the rest."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from command_line import environment
from fault_proxy import Fault, proxy_to
from maquette.errors import CredentialsError, JobFailed, MaquetteError
from maquette.storage import uploading
from maquette.storage.bucket import Bucket
from maquette.storage.etags import PART_BYTES
from maquette.storage.remote import MANIFEST
from maquette.storage.syncing import Conflict
from maquette.storage.wire import Wire
from s3_server import KEYS, content_of, in_thread, place_in, pull, push, s3_server, write_scene
from waiting import wait_for

ROUNDS = 12
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from s3_server import place_in, pull, push
move = {"push": push, "pull": pull}[sys.argv[2]]
move(Path(sys.argv[3]), place_in(sys.argv[4], sys.argv[5]))
"""


def files(seed: int, count: int, size: int) -> dict[str, bytes]:
    choose = random.Random(seed)
    return {f"images/{number:04}.jpg": choose.randbytes(size) for number in range(count)}


def large(seed: int) -> dict[str, bytes]:
    return {"runs/experiments/big.pt": random.Random(seed).randbytes(3 * PART_BYTES + 777)}


def sometimes(seed: int, share: float, fault: Fault) -> Callable[[str, str], Fault | None]:
    choose, guard = random.Random(seed), threading.Lock()

    def judge(method: str, path: str) -> Fault | None:
        with guard:
            return fault if choose.random() < share else None

    return judge


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
    scene: Path, tmp_path: Path, bucket: Bucket, fault: Fault
) -> None:
    write_scene(scene, {**files(1, 30, 5000), **large(1)})
    with proxy_to(bucket.wire.place.endpoint, sometimes(2, 0.2, fault)) as proxy:
        shaky = place_in(proxy.endpoint, bucket.prefix)
        push(scene, shaky)
        pull(tmp_path / "other", shaky)
    assert content_of(tmp_path / "other") == content_of(scene)
    pull(tmp_path / "straight", bucket, relist=True)
    assert content_of(tmp_path / "straight") == content_of(scene)


def test_falsified_downloads_are_noticed_and_fetched_again(
    scene: Path, tmp_path: Path, bucket: Bucket
) -> None:
    write_scene(scene, files(3, 20, 5000))
    push(scene, bucket)
    with proxy_to(bucket.wire.place.endpoint, sometimes(4, 0.3, Fault(flip=True))) as proxy:
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert content_of(tmp_path / "other") == content_of(scene)


def test_a_falsified_large_download_never_gets_its_name(
    scene: Path, tmp_path: Path, bucket: Bucket
) -> None:
    write_scene(scene, large(5))
    push(scene, bucket)

    def judge(method: str, path: str) -> Fault | None:
        return Fault(flip=True) if path.endswith("big.pt") and method == "GET" else None

    with (
        proxy_to(bucket.wire.place.endpoint, judge) as proxy,
        pytest.raises(JobFailed, match="checksum"),
    ):
        pull(tmp_path / "other", place_in(proxy.endpoint, bucket.prefix))
    assert content_of(tmp_path / "other") == {}
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


def test_a_wrong_checksum_of_an_upload_is_an_error_and_nothing_is_taken_for_done(
    scene: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maquette.storage.wire._LONGEST_PAUSE_S", 0.01)
    write_scene(scene, files(6, 3, 100))

    def judge(method: str, path: str) -> Fault | None:
        return Fault(etag="0" * 32) if "0001.jpg" in path else None

    with (
        proxy_to(bucket.wire.place.endpoint, judge) as proxy,
        pytest.raises(JobFailed) as caught,
    ):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
    assert "checksum" in caught.value.detail
    assert push(scene, bucket, relist=True).plan.conflicts == ()


def test_a_refusal_for_good_is_not_repeated(scene: Path, bucket: Bucket) -> None:
    write_scene(scene, files(7, 3, 100))
    with proxy_to(bucket.wire.place.endpoint, lambda *_: Fault(403, "AccessDenied")) as proxy:
        with pytest.raises(CredentialsError, match="may not do that"):
            push(scene, place_in(proxy.endpoint, bucket.prefix))
        assert len(proxy.seen) == 1


def test_a_server_that_restarts_in_between_is_waited_for(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    write_scene(scene, {**files(8, 200, 2000), **large(8)})
    with s3_server(tmp_path / "server") as running:
        port = int(running.place.endpoint.rpartition(":")[2])
        bucket = place_in(running.place.endpoint, "thing")
        errors: list[Exception] = []

        def work() -> None:
            try:
                push(scene, bucket)
            except MaquetteError as error:
                errors.append(error)

        thread = in_thread(work)
        folder = tmp_path / "server" / "buckets" / "maquette-tests" / "thing" / "images"
        wait_for(lambda: folder.is_dir() and len(list(folder.iterdir())) > 20, what="a beginning")
    with s3_server(tmp_path / "server", port):
        thread.join(60)
        assert not thread.is_alive()
        push(scene, bucket)  # the server forgot the upload in parts; everything else is there
        pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.slow
@pytest.mark.parametrize("move", ["push", "pull"])
def test_killed_at_random_moments_the_next_one_does_the_rest(
    scene: Path, tmp_path: Path, bucket: Bucket, move: str
) -> None:
    """Each round changes some files, kills the move somewhere, and may find nothing half done."""
    choose, other = random.Random(move), tmp_path / "other"
    write_scene(scene, {**files(9, 60, 20_000), **large(9)})
    if move == "pull":
        push(scene, bucket)
    victim = scene if move == "push" else other
    words = [str(victim), bucket.wire.place.endpoint, bucket.prefix]
    for round_ in range(ROUNDS):
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[1]), move, *words],
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        with child:
            child_may_live_s = choose.uniform(0.3, 1.2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(child_may_live_s)
            child.send_signal(signal.SIGKILL)
        whole = content_of(scene)
        if move == "pull":
            for path, content in content_of(other).items():
                assert whole[path] == content, path
        else:
            changed = f"images/{round_:04}.jpg"
            write_scene(scene, {changed: choose.randbytes(20_000)})
    if move == "push":
        push(scene, bucket)
    pull(other, bucket)
    assert content_of(other) == content_of(scene)
    assert [item for item in other.rglob("*") if "incoming/" in str(item)] == []


def test_an_interrupted_upload_sends_only_the_missing_parts(scene: Path, bucket: Bucket) -> None:
    write_scene(scene, large(10))
    sent: list[str] = []

    def judge(method: str, path: str) -> Fault | None:
        if method == "PUT" and "partNumber=" in path:
            sent.append(path.partition("partNumber=")[2].partition("&")[0])
            if len(sent) == 3:
                return Fault(403, "AccessDenied")
        return None

    with proxy_to(bucket.wire.place.endpoint, judge) as proxy:
        shaky = place_in(proxy.endpoint, bucket.prefix)
        with pytest.raises(CredentialsError):
            push(scene, shaky)
        first = len(sent)
        push(scene, shaky)
    assert first < len(sent) < 2 * 4
    assert bucket.head("runs/experiments/big.pt").size == 3 * PART_BYTES + 777


def test_abandoned_uploads_of_ours_are_swept(scene: Path, bucket: Bucket) -> None:
    write_scene(scene, large(11))

    def judge(method: str, path: str) -> Fault | None:
        return Fault(403, "AccessDenied") if "partNumber=2" in path else None

    with proxy_to(bucket.wire.place.endpoint, judge) as proxy, pytest.raises(CredentialsError):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
    assert len(bucket.unfinished_uploads()) == 1
    (scene / "runs/experiments/big.pt").write_bytes(b"small now")
    push(scene, bucket)
    assert bucket.unfinished_uploads() == []


def test_no_space_left_is_said_and_nothing_is_half_there(
    scene: Path, tmp_path: Path, bucket: Bucket
) -> None:
    write_scene(scene, files(12, 5, 200_000))
    push(scene, bucket)
    full = tmp_path / "full"
    full.mkdir()
    limited = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    )
    words = ["pull", str(full), bucket.wire.place.endpoint, bucket.prefix]
    done = subprocess.run(
        [sys.executable, "-c", limited + PROGRAM, str(Path(__file__).parents[1]), *words],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "writing what was downloaded" in done.stderr
    assert content_of(full) == {}
    pull(full, bucket)
    assert content_of(full) == content_of(scene)


def test_a_large_file_that_changes_while_it_is_uploaded_is_not_taken_for_done(
    scene: Path, bucket: Bucket
) -> None:
    write_scene(scene, {**large(13), **files(13, 3, 100)})
    big = scene / "runs/experiments/big.pt"
    pointer = "runs/experiments/latest_checkpoint.txt"
    write_scene(scene, {pointer: b"big.pt\n"})

    def judge(method: str, path: str) -> Fault | None:
        if "partNumber=2" in path:
            with open(big, "r+b") as file:
                file.write(b"changed")
        return None

    with proxy_to(bucket.wire.place.endpoint, judge) as proxy:
        near = place_in(proxy.endpoint, bucket.prefix)
        with pytest.raises(JobFailed, match="changed while it was uploaded"):
            push(scene, near)
    there = bucket.objects()
    assert "runs/experiments/big.pt" not in there and pointer not in there
    assert "images/0002.jpg" in there
    assert push(scene, bucket).files == 2


def test_a_file_that_is_removed_meanwhile_does_not_stop_the_others(
    scene: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
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


def test_two_pushes_at_once_from_two_copies_lose_nothing(tmp_path: Path, bucket: Bucket) -> None:
    common = {"report.json": b"{}"}
    one, two = tmp_path / "one", tmp_path / "two"
    mine = {f"images/a{number}.jpg": b"one" for number in range(60)}
    theirs = {f"images/b{number}.jpg": b"two" for number in range(60)}
    write_scene(one, {**common, **mine})
    write_scene(two, {**common, **theirs})
    bucket.ensure()
    buckets = [place_in(bucket.wire.place.endpoint, bucket.prefix) for _ in range(2)]
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


def test_the_same_new_file_pushed_by_two_at_once_is_a_conflict_for_the_slower(
    tmp_path: Path, bucket: Bucket
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

    with proxy_to(bucket.wire.place.endpoint, judge) as proxy, pytest.raises(Conflict):
        push(one, place_in(proxy.endpoint, bucket.prefix))
    assert content_of(one) == {"report.json": b"one"}
    with pytest.raises(Conflict):
        pull(one, bucket)
    assert content_of(one) == {"report.json": b"one"}


@pytest.mark.slow
def test_ten_thousand_small_files(tmp_path: Path, bucket: Bucket) -> None:
    scene = tmp_path / "scene"
    write_scene(scene, {f"images/{n % 100}/{n}.txt": str(n).encode() for n in range(10_000)})
    assert push(scene, bucket).files == 10_000
    assert push(scene, bucket).files == 0
    assert push(scene, bucket, relist=True).files == 0
    assert pull(tmp_path / "other", bucket).files == 10_000
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.slow
def test_a_sparse_file_of_5_gb_and_the_memory_it_takes(scene: Path, bucket: Bucket) -> None:
    path = scene / "runs/experiments/big.pt"
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        file.truncate(5 << 30)
        file.seek((5 << 30) - 3)
        file.write(b"end")
    words = [str(scene), bucket.wire.place.endpoint, bucket.prefix]
    measured = PROGRAM + (
        "for line in open('/proc/self/status'):\n"  # not getrusage: that starts at the parent's
        "    if line.startswith('VmHWM'): print(line.split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured, str(Path(__file__).parents[1]), "push", *words],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert bucket.head("runs/experiments/big.pt").size == 5 << 30
    assert int(done.stdout) < 300_000
    bucket.delete("runs/experiments/big.pt")


def test_no_byte_goes_anywhere_but_the_configured_endpoint(
    scene: Path, bucket: Bucket, tmp_path: Path
) -> None:
    """Every connection of a push in parts is written down by the interpreter itself."""
    write_scene(scene, {**large(15), **files(15, 5, 100)})
    spy = (
        "import sys\n"
        "def spy(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        where = arguments[1] if event != 'socket.getaddrinfo' else arguments[:2]\n"
        "        print('NET', where[0], where[1], file=sys.stderr)\n"
        "sys.addaudithook(spy)\n"
    )
    words = ["push", str(scene), bucket.wire.place.endpoint, bucket.prefix]
    tempting = {
        "AWS_ENDPOINT_URL": "http://127.0.0.2:9",
        "AWS_PROFILE": "not-there",
        "HTTP_PROXY": "http://127.0.0.3:9",
        "http_proxy": "http://127.0.0.3:9",
        "AWS_REGION": "eu-west-3",
    }
    done = subprocess.run(
        [sys.executable, "-c", spy + PROGRAM, str(Path(__file__).parents[1]), *words],
        env=environment(**tempting), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    port = bucket.wire.place.endpoint.rpartition(":")[2]
    met = {tuple(line.split()[1:]) for line in done.stderr.splitlines() if line.startswith("NET")}
    assert met == {("127.0.0.1", port)}


def test_redirects_are_told_not_followed(scene: Path, bucket: Bucket) -> None:
    write_scene(scene, files(16, 1, 10))
    with (
        proxy_to(bucket.wire.place.endpoint, lambda *_: Fault(301, "PermanentRedirect")) as proxy,
        pytest.raises(MaquetteError, match="another endpoint"),
    ):
        push(scene, place_in(proxy.endpoint, bucket.prefix))


def test_objects_are_private(bucket: Bucket, scene: Path) -> None:
    write_scene(scene, files(17, 1, 10))
    push(scene, bucket)
    stranger = Wire(bucket.wire.place, type(KEYS)("somebody-else", "another-secret-of-theirs"))
    with pytest.raises(CredentialsError):
        stranger.request("GET", bucket.name, bucket.key("images/0000.jpg"))
