"""A Docker daemon of a test's own, beside the one that is used: it may be stopped and killed.

Its network is its own too: a daemon without a bridge removes the `docker0` that it finds.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from job_making import BASE_IMAGE
from maquette.containers.daemon import connected, find_daemon
from maquette.errors import MaquetteError
from waiting import wait_for

_LIMIT_S = 120.0
_LOAD_S = 300.0


def missing_own_daemon() -> str:
    """Why no daemon of our own can be started here."""
    if os.geteuid() != 0:
        return "a daemon of its own needs root: `sudo -E make test`"
    for program, package in (("dockerd", "docker.io"), ("unshare", "util-linux")):
        if not shutil.which(program):
            return f"there is no {program}: `apt-get install {package}`"
    alone = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if alone.returncode == 0 else "no network namespace may be made here, as root may"


class OwnDaemon:
    """A daemon without a network, with all that it keeps below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.host = f"unix://{folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        own = [f"--{word}={self._folder}/{name}" for word, name in places.items()]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "dockerd", *own, "--host", self.host, "--bridge=none",
                 "--iptables=false", "--ip-forward=false"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, _LIMIT_S, "an answer of the daemon")

    def stop(self) -> None:
        """End it as a system's service manager does: the containers end with it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)
        # Where nobody collects orphans, the next dockerd takes this one's dead child for alive.
        (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def load_base(self) -> None:
        """Bring the base image from the daemon that is used."""
        with (
            connected(find_daemon(), _LOAD_S) as here,
            connected(find_daemon(self.host), _LOAD_S) as there,
        ):
            there.images.load(b"".join(here.images.get(BASE_IMAGE).save(named=True)))

    def clear(self) -> None:
        """Remove every container, end the daemon, remove what it kept."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        with connected(find_daemon(self.host)) as client:
            for container in client.containers.list(all=True):
                container.remove(force=True)
        self.stop()
        data = self._folder / "data"  # a killed daemon leaves it mounted on itself
        subprocess.run(["umount", "--lazy", "--recursive", str(data)], stderr=subprocess.DEVNULL,
                       check=False)  # fmt: skip
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, "dockerd has ended"
        try:
            with connected(find_daemon(self.host), 5) as client:
                return bool(client.ping())
        except MaquetteError:
            return False

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_LIMIT_S)
            self._process = None


@contextmanager
def own_daemon() -> Iterator[OwnDaemon]:
    """A running daemon with the base image; its socket's path must be short."""
    daemon = OwnDaemon(Path(mkdtemp(prefix="daemon-", dir="/tmp")))
    daemon.start()
    try:
        daemon.load_base()
        yield daemon
    finally:
        daemon.clear()
