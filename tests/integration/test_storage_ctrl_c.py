"""Ctrl-C while a store does not answer: the command ends, and the next one does the rest."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from command_line import environment, maquette_here
from fault_proxy import Fault, proxy_to
from http_proxy import HttpProxy, use
from maquette.storage import datastores
from maquette.storage.datastores import DataStore
from maquette.storage.embedded import Running
from s3_server import write_scene
from storage_scenes import large
from waiting import wait_for

AT_ONCE_S = 40.0  # on a busy machine; the store would let it wait for a minute or more
SCENE = {"images/1.jpg": b"one", "report.json": b"{}", **large(8)}
Run = Callable[..., "subprocess.Popen[str]"]


class Silence:
    """Keeps requests of a kind without an answer while it lasts, and never passes them on."""

    def __init__(self) -> None:
        self.method, self.part = "", ""
        self.is_on = threading.Event()
        self.ends = threading.Event()

    def __call__(self, method: str, path: str) -> Fault | None:
        if method == self.method and self.part in path:
            self.is_on.set()
            self.ends.wait(270)
            return Fault(request_bytes=0)
        return None


@pytest.fixture
def silence(person: Path, server: Running) -> Iterator[Silence]:
    """What the store of a person with a scene keeps silent about."""
    write_scene(person / "scenes" / "thing", SCENE)
    silence = Silence()
    with proxy_to(server.location.endpoint, silence) as proxy:
        datastores.add("NEURALANGELO", DataStore(proxy.endpoint, "us-east-1"))
        yield silence
        silence.ends.set()


@pytest.fixture
def run(person: Path) -> Iterator[Run]:
    """Starts a data command on the scene."""
    begun = []

    def start(*words: str) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "maquette.cli.main", *data(person, *words)],
                cwd=person, env=environment(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def data(person: Path, *words: str) -> list[str]:
    bucket = person.name.replace("_", "-")[:40].strip("-").lower()
    return ["data", *words, "MODEL=thing", f"BUCKET_NAME={bucket}"]


@pytest.mark.parametrize(
    ("direction", "method", "part"),
    [
        ("push", "GET", "manifest.json"),
        ("push", "PUT", "images/1.jpg"),
        ("push", "PUT", "partNumber=1"),
        ("pull", "GET", "list-type=2"),
        ("pull", "GET", "images/1.jpg"),
        ("pull", "GET", ".pt"),
    ],
)
def test_ctrl_c_does_not_wait_for_a_silent_store(
    person: Path, silence: Silence, run: Run, direction: str, method: str, part: str
) -> None:
    interrupt_and_go_on(person, silence, run, direction, method, part)


@pytest.mark.parametrize(
    ("direction", "method", "part"), [("push", "PUT", "partNumber=1"), ("pull", "GET", ".pt")]
)
def test_ctrl_c_does_not_wait_for_a_store_behind_a_proxy(
    person: Path, silence: Silence, run: Run, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch,
    direction: str, method: str, part: str,
) -> None:  # fmt: skip
    use(proxy, monkeypatch)
    interrupt_and_go_on(person, silence, run, direction, method, part)


def interrupt_and_go_on(
    person: Path, silence: Silence, run: Run, direction: str, method: str, part: str
) -> None:
    if direction == "pull":
        assert maquette_here(person, *data(person, "push")).returncode == 0
        (person / "scenes").rename(person / "before")
    silence.method, silence.part = method, part
    process = run(direction)
    assert silence.is_on.wait(270)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    said = process.communicate(timeout=270)[1]
    assert time.monotonic() - begun < AT_ONCE_S
    assert process.returncode == 130 and "interrupted" in said and "does the rest" in said
    silence.method = ""
    silence.ends.set()
    again = maquette_here(person, *data(person, direction))
    assert again.returncode == 0, again.stderr
    nothing = maquette_here(person, *data(person, direction))
    assert nothing.stdout.startswith(f"{direction}ed 0 files")


def test_ctrl_c_does_not_wait_for_a_connection(silence: Silence, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):  # the next one is not let in
            endpoint = f"http://127.0.0.1:{address[1]}"
            datastores.add("NEURALANGELO", DataStore(endpoint, "us-east-1"))
            process = run("push")
            ours = psutil.Process(process.pid)
            wait_for(lambda: "SYN_SENT" in [one.status for one in ours.net_connections()])
            process.send_signal(signal.SIGINT)
            assert process.wait(AT_ONCE_S) == 130


# A signal that another thread takes interrupts no call of this one, like one that came just before.
WAITS_UNDISTURBED = """
import signal, sys, threading
from maquette.storage.object_store import StoreLocation
from maquette.storage.opening import interruptible, open_store
from maquette.storage.signing import Credentials
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
store = open_store(StoreLocation(sys.argv[1]), Credentials("a", "b"), "none", "thing")
try:
    with interruptible(store):
        store.head("a")
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_a_wait_that_it_does_not_interrupt() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        words = [sys.executable, "-c", WAITS_UNDISTURBED, f"http://127.0.0.1:{address[1]}"]
        with socket.create_connection(address), subprocess.Popen(words) as process:
            try:
                ours = psutil.Process(process.pid)
                wait_for(lambda: "SYN_SENT" in [one.status for one in ours.net_connections()])
                process.send_signal(signal.SIGINT)
                assert process.wait(AT_ONCE_S) == 130
            finally:
                process.kill()


WAITS_FOR_EVER = """
import threading
from concurrent.futures import ThreadPoolExecutor
from maquette.storage.object_store import StoreLocation
from maquette.storage.opening import interruptible, open_store
from maquette.storage.signing import Credentials
store = open_store(StoreLocation("http://127.0.0.1:9"), Credentials("a", "b"), "none", "thing")
with interruptible(store), ThreadPoolExecutor(1) as pool:
    pool.submit(threading.Event().wait)
    print("begun", flush=True)
    threading.Event().wait()
"""


def test_a_second_ctrl_c_ends_it_wherever_it_is() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_FOR_EVER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "begun\n"

        def press() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        try:
            wait_for(press, AT_ONCE_S, "the end")
        finally:
            process.kill()
    assert process.returncode == 130
