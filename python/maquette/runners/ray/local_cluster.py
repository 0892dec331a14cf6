"""A Ray cluster of processes of this machine, to try the backend: a head and some nodes.

Each is stopped by its process' own id: `ray stop` would end every Ray of this machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from maquette.errors import JobFailed, Unanswered
from maquette.runners.process_identity import find_process, identity
from maquette.runners.ray.client import connected
from maquette.scene.atomic import write_json

_STORE_BYTES = 80_000_000  # the least that Ray takes: shards pass files, no objects
_START_LIMIT_S = 120.0
_PAUSE_S = 0.2
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_STOP_GRACE_S = 5.0


@dataclass
class LocalCluster:
    """A running one.

    Attributes:
        address: Of its Jobs API.
        gcs: Where its nodes meet.
        folder: Holds its sessions; short, since names of sockets are.
        ends_with_us: It ends when this process does, in whatever way.
        processes: Head first; `identity` of each.
    """

    address: str
    gcs: str
    folder: str
    python: str
    ends_with_us: bool = False
    processes: list[dict[str, object]] = field(default_factory=list)

    def add_node(self) -> psutil.Popen:
        """Start one more node, with one CPU.

        Raises:
            JobFailed: it ended at once.
        """
        words = ["--address", self.gcs, "--num-cpus", "1", "--num-gpus", "0"]
        return self._start(words)

    def stop(self) -> None:
        """End all processes, and remove the folder."""
        for each in reversed(self.processes):
            if process := find_process(each):
                end(process)
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, words: Sequence[str]) -> psutil.Popen:
        shared = ["--block", "--disable-usage-stats", "--node-ip-address", "127.0.0.1",
                  "--object-store-memory", str(_STORE_BYTES),
                  "--dashboard-agent-listen-port", "0", "--metrics-export-port", "0"]  # fmt: skip
        with open(Path(self.folder) / f"process-{len(self.processes)}.log", "ab") as log:
            process = psutil.Popen(
                [self.python, "-m", "ray.scripts.scripts", "start", *words, *shared],
                env=_environment(os.environ, self.python),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if self.ends_with_us else None,
            )
        self.processes.append(identity(process))
        return process

    def remember(self, path: Path) -> None:
        """Write down what `remembered` reads, so that another command stops it."""
        write_json(path, asdict(self))


def remembered(path: Path) -> LocalCluster | None:
    """The cluster that was written down there; None where there is none."""
    try:
        return LocalCluster(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def start(python: str, nodes: int, port: int = 8265, *, ends_with_us: bool = False) -> LocalCluster:
    """Start a head, which does no work itself, and nodes with one CPU each.

    Args:
        python: An interpreter that has ray and maquette.
        port: Of the Jobs API; 0: any that is free.
        ends_with_us: It ends when the thread that calls this does.

    Raises:
        JobFailed: the cluster does not come up.
    """
    port, meeting = port or _free_port(), _free_port()
    folder = tempfile.mkdtemp(prefix="mq-ray-", dir="/tmp")
    address, gcs = f"http://127.0.0.1:{port}", f"127.0.0.1:{meeting}"
    cluster = LocalCluster(address, gcs, folder, python, ends_with_us)
    head = ["--head", "--port", str(meeting), "--num-cpus", "0", "--num-gpus", "0", "--temp-dir",
            folder, "--dashboard-host", "127.0.0.1", "--dashboard-port", str(port),
            "--ray-client-server-port", str(_free_port())]  # fmt: skip
    try:
        process = cluster._start(head)
        _wait(cluster, process, 1)
        for number in range(nodes):  # one after the other: at once they take the same ports
            process = cluster.add_node()
            _wait(cluster, process, 2 + number)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def end(process: psutil.Process) -> None:
    """Kill a head or a node with all that it started, as when its machine is switched off."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, _STOP_GRACE_S)


def _wait(cluster: LocalCluster, newest: psutil.Popen, wanted: int) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        with contextlib.suppress(Unanswered), connected(cluster.address) as client:
            if client.nodes() >= wanted:
                return
        if newest.poll() is not None or time.monotonic() > deadline:
            log = Path(cluster.folder) / f"process-{len(cluster.processes) - 1}.log"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise JobFailed(
                "the Ray cluster did not come up", detail="\n".join(lines[-10:]),
                hint="is another one on this port? `make ray-local-stop`, or RAY_ADDRESS with "
                "another port (not 10002 to 19999, which are the workers')",
            )  # fmt: skip
        threading.Event().wait(_PAUSE_S)


def _end_with_parent() -> None:
    """Runs in the new process: `ray start` ends all that it started when it is asked to stop."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment(ours: Mapping[str, str], python: str) -> dict[str, str]:
    """Ours, without what belongs to another cluster; programs of the interpreter's folder first."""
    kept = {name: text for name, text in ours.items() if not name.startswith("RAY_")}
    path = f"{Path(python).parent}:{ours.get('PATH', '')}"
    added = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PATH": path}
    return {**kept, **added}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
