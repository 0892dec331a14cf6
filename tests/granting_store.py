"""A store that takes rules for pages (CORS) and makes objects public: the server of moto."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_line import environment
from waiting import wait_for


@contextmanager
def granting_store(folder: Path) -> Iterator[str]:
    """Serve until the end of the block; yields the endpoint. Any key may write."""
    told = folder / "store.log"
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with (
        open(told, "wb") as log,
        subprocess.Popen(argv, env=environment(), stdout=log, stderr=log) as server,
    ):
        try:
            yield wait_for(lambda: _endpoint(told), 60, what="the store to listen")
        finally:
            server.terminate()


def _endpoint(log: Path) -> str:
    found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())
    return found[1] if found else ""
