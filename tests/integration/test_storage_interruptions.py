"""Kills, restarts, full disks: the same command does the rest."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fault_proxy import proxy_to
from maquette.errors import MaquetteError, NotFound
from maquette.storage import etags
from maquette.storage.conflicts import Conflict
from maquette.storage.embedded import Running
from maquette.storage.object_store import ATTEMPTS, Body, ObjectStore
from maquette.storage.wire_store import WireStore
from relay import relay
from s3_server import (
    BUCKET,
    content_of,
    in_thread,
    place_in,
    pull,
    push,
    s3_server,
    write_scene,
)
from storage_scenes import files, large, moving
from waiting import wait_for

CHANGED = 20
small_parts = pytest.mark.usefixtures("small_parts")
POINTER = "runs/neuralangelo/experiments/latest_checkpoint.txt"


def test_a_server_that_restarts_in_between_is_waited_for(tmp_path: Path) -> None:
    """With parts so large that the server is gone before it writes the whole of them."""
    scene = tmp_path / "scene"
    write_scene(scene, {**files(8, 200, 2000), **large(8)})
    servers: list[Running] = []

    with relay(partial(newest, servers)) as port:
        bucket = place_in(f"http://127.0.0.1:{port}", "thing")
        with s3_server(tmp_path / "server") as running:
            servers.append(running)
            thread = in_thread(lambda: push_once(scene, bucket))
            folder = tmp_path / "server" / "buckets" / "maquette-tests" / "thing" / "images"
            wait_for(lambda: folder.is_dir() and len(list(folder.iterdir())) > 20, what="a start")
        with s3_server(tmp_path / "server") as running:
            servers.append(running)
            thread.join(100)
            assert not thread.is_alive()
            push(scene, bucket)  # the server forgot the upload in parts; all else is there
            pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


def test_kept_connections_of_a_server_that_restarted_cost_no_attempt(tmp_path: Path) -> None:
    """Each of them would fail once, and there may be more of them than attempts."""
    servers: list[Running] = []
    together = threading.Barrier(2 * ATTEMPTS)

    def hold(response: Body) -> bytes:
        together.wait(60)
        return response.read()

    with relay(partial(newest, servers)) as port:
        store = place_in(f"http://127.0.0.1:{port}", "thing")
        assert isinstance(store, WireStore)
        ask = partial(store.wire.request, "GET", BUCKET, "thing/a")
        with s3_server(tmp_path / "server") as running:
            servers.append(running)
            write_scene(tmp_path / "server" / "buckets" / BUCKET, {"thing/a": b"1"})
            with ThreadPoolExecutor(together.parties) as pool:
                list(pool.map(lambda _: ask(reader=hold), range(together.parties)))
        with s3_server(tmp_path / "server") as running:
            servers.append(running)
            kept = store.wire._idle.queue
            wait_for(lambda: all(one.is_lost() for one in kept), what="the end of connections")
            assert ask(attempts=1).body == b"1"


def newest(servers: list[Running]) -> socket.socket:
    """A connection to the server that was started last."""
    port = int(servers[-1].location.endpoint.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port))


def push_once(scene: Path, bucket: ObjectStore) -> None:
    with contextlib.suppress(MaquetteError):
        push(scene, bucket)


@small_parts
def test_a_server_that_restarts_during_a_pull_is_waited_for(tmp_path: Path) -> None:
    scene, other = tmp_path / "scene", tmp_path / "other"
    write_scene(scene, {**files(8, 60, 2000), **large(8)})
    reached, is_away = threading.Event(), threading.Event()
    asked: list[str] = []

    def judge(method: str, path: str) -> None:
        asked.append(path)
        if "images/" in path and len(asked) > 20:
            reached.set()
            is_away.wait(270)

    with s3_server(tmp_path / "server") as running:
        endpoint = running.location.endpoint
        push(scene, place_in(endpoint, "thing"))
        proxied = contextlib.ExitStack()
        proxy = proxied.enter_context(proxy_to(endpoint, judge))
        thread = in_thread(lambda: pull(other, place_in(proxy.endpoint, "thing")))
        assert reached.wait(270)
    is_away.set()
    before = len(asked)
    wait_for(lambda: len(asked) > before, what="another attempt while the server is away")
    with proxied, s3_server(tmp_path / "server") as running:
        proxy.upstream = running.location.endpoint
        thread.join(100)
        assert not thread.is_alive()
    assert content_of(other) == content_of(scene)


@small_parts
@pytest.mark.parametrize("move", ["push", "pull"])
def test_killed_at_a_request_the_next_one_does_the_rest(
    scene: Path, tmp_path: Path, bucket: ObjectStore, move: str
) -> None:
    """Soak does so at more requests."""
    train_through_kills(scene, tmp_path, bucket, move, random.Random(move), rounds=2)


@pytest.mark.soak
@pytest.mark.seeds(4)
@pytest.mark.timeout(600)
@small_parts
@pytest.mark.parametrize("move", ["push", "pull"])
def test_killed_at_random_requests_the_next_one_does_the_rest(
    scene: Path, tmp_path: Path, bucket: ObjectStore, move: str, seed: int
) -> None:
    train_through_kills(scene, tmp_path, bucket, move, random.Random(seed), rounds=12)


def train_through_kills(
    scene: Path, tmp_path: Path, bucket: ObjectStore, move: str, choose: random.Random, rounds: int
) -> None:
    """Each round trains on and is killed at some request: what arrived is whole and in order."""
    other, written = tmp_path / "other", dict[str, set[bytes]]()
    for round_ in range(rounds):
        train_on(scene, choose, round_, written)
        if move == "pull":
            push(scene, bucket)
        kill_at_a_request(choose.randint(1, CHANGED // 2), move, scene, other, bucket)
        arrived = other
        if move == "push":
            arrived = tmp_path / f"arrived{round_}"
            with contextlib.suppress(NotFound):  # killed before anything was there
                pull(arrived, bucket, relist=True)
        for path, content in content_of(arrived).items():
            assert content in written[path], path
        if (arrived / POINTER).exists():
            named = (arrived / POINTER).read_text()
            assert (arrived / named).read_bytes() in written[named]
    push(scene, bucket)
    pull(other, bucket)
    assert content_of(other) == content_of(scene)
    assert [item for item in other.rglob("*") if "incoming/" in str(item)] == []


@small_parts
@pytest.mark.parametrize(
    "make", [partial(files, count=1, size=9000), large], ids=["small", "large"]
)
@pytest.mark.parametrize(
    "moment", ["downloading.facts_of", "index.Index.record"], ids=["before", "after"]
)
def test_a_pull_killed_while_a_file_gets_its_name_is_no_change_here(
    scene: Path,
    tmp_path: Path,
    bucket: ObjectStore,
    moment: str,
    make: Callable[[int], dict[str, bytes]],
) -> None:
    """Only one who works on the file has changed it."""
    newer = make(31)
    other = killed_pull_of_a_change(scene, tmp_path, bucket, moment, newer)
    assert (content_of(other) == newer) == ("record" in moment)
    write_scene(scene, dict.fromkeys(newer, b"newest"))
    push(scene, bucket)
    assert pull(other, bucket).files == 1
    assert content_of(other) == content_of(scene)


@pytest.mark.parametrize(
    "moment", ["downloading.facts_of", "index.Index.record"], ids=["before", "after"]
)
def test_work_on_a_file_of_a_killed_pull_is_never_replaced(
    scene: Path, tmp_path: Path, bucket: ObjectStore, moment: str
) -> None:
    other = killed_pull_of_a_change(scene, tmp_path, bucket, moment, {"report.json": b"newer"})
    write_scene(other, {"report.json": b"mine!"})
    write_scene(scene, {"report.json": b"newest"})
    push(scene, bucket)
    for move in (pull, push):
        with pytest.raises(Conflict):
            move(other, bucket)
    assert content_of(other) == {"report.json": b"mine!"}
    assert bucket.get_if_changed("report.json", "").body == b"newest"


def killed_pull_of_a_change(
    scene: Path, tmp_path: Path, bucket: ObjectStore, moment: str, newer: dict[str, bytes]
) -> Path:
    """A copy whose pull of changed files was killed when it was about to call `moment`."""
    other = tmp_path / "other"
    write_scene(scene, dict.fromkeys(newer, b"older"))
    push(scene, bucket)
    pull(other, bucket)
    write_scene(scene, newer)
    push(scene, bucket)
    die = (
        "import os, signal, maquette.storage.downloading, maquette.storage.index\n"
        f"maquette.storage.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    child = moving("pull", other, bucket, before=die)
    child.communicate(timeout=270)
    assert child.returncode == -signal.SIGKILL
    return other


def train_on(
    scene: Path, choose: random.Random, round_: int, written: dict[str, set[bytes]]
) -> None:
    """Change pictures, add a checkpoint of several parts, point to it."""
    name = f"runs/neuralangelo/experiments/{round_}.pt"
    changed = {f"images/{choose.randrange(60)}.jpg": choose.randbytes(9000) for _ in range(CHANGED)}
    changed |= {name: choose.randbytes(etags.PART_BYTES + 777), POINTER: name.encode()}
    write_scene(scene, changed)
    for path, content in changed.items():
        written.setdefault(path, set()).add(content)


def kill_at_a_request(
    number: int, move: str, scene: Path, other: Path, bucket: ObjectStore
) -> None:
    """Start a move and kill it with SIGKILL while its request of that number is under way."""
    started = threading.Event()

    def judge(method: str, path: str) -> None:
        if len(proxy.seen) >= number and started.wait(270):
            child.kill()

    with proxy_to(bucket.location.endpoint, judge) as proxy:
        near = place_in(proxy.endpoint, bucket.prefix)
        child = moving(move, scene if move == "push" else other, near)
        started.set()
        child.communicate(timeout=270)
    assert child.returncode == -signal.SIGKILL


def test_no_space_left_is_said_and_nothing_is_half_there(
    scene: Path, tmp_path: Path, bucket: ObjectStore
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
    told = moving("pull", full, bucket, before=limited).communicate()[1]
    assert "writing what was downloaded" in told
    assert content_of(full) == {}
    pull(full, bucket)
    assert content_of(full) == content_of(scene)


@pytest.mark.skipif(
    subprocess.run("unshare -rm true", shell=True, check=False).returncode != 0,
    reason="no small disk can be mounted here: `sysctl kernel.unprivileged_userns_clone=1`",
)
@pytest.mark.parametrize("content", [files(12, 9, 200_000), large(12)], ids=["small", "large"])
def test_a_full_disk_keeps_what_was_whole(
    scene: Path, tmp_path: Path, bucket: ObjectStore, content: dict[str, bytes]
) -> None:
    """A real one, too small by a part of what comes."""
    write_scene(scene, content)
    push(scene, bucket)
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(map(len, content.values())) * 2 // 3
    small = f'mount -t tmpfs -o size={size} none "{disk}" && exec "$@"'
    inside = (
        "import atexit, pathlib\n"
        f"disk = pathlib.Path({str(disk)!r})\n"
        "atexit.register(lambda: [print(p.relative_to(disk), p.stat().st_size)\n"
        "    for p in disk.rglob('*') if p.is_file() and '.maquette' not in p.parts])\n"
    )
    child = moving(
        "pull", disk, bucket, before=inside, within=["unshare", "-rm", "sh", "-c", small, "sh"]
    )
    kept, told = child.communicate(timeout=270)
    assert child.returncode and "no space left" in told.lower()
    names = dict(line.split() for line in kept.splitlines())
    assert len(names) < len(content)
    assert all(len(content[name]) == int(size) for name, size in names.items())
