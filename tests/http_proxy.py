"""A real HTTP proxy, and stores behind it: at a name that only the proxy can resolve.

A request that went around it would find no host, so what arrives has come through the proxy.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import environment
from waiting import wait_for

NAME = "store.invalid"  # by its rules such a name leads nowhere
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class HttpProxy:
    """A running proxy.

    Args:
        log: A line for each connection that has ended.
    """

    url: str
    log: Path

    def bytes_from(self, endpoint: str) -> int:
        """How many bytes it has brought from a store over connections that have ended."""
        host = endpoint.partition("//")[2]
        line = rf"(?:[A-Z]+) {re.escape(host)}\S* - .*?(\d+) bytes"
        return sum(map(int, re.findall(line, self.log.read_text())))


@contextmanager
def http_proxy(folder: Path) -> Iterator[HttpProxy]:
    """Serve on the loopback address until the block ends."""
    port, log = folder / "port", folder / "proxy.log"
    log.touch()
    argv = [
        *(sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0"),
        *("--port-file", str(port), "--log-file", str(log), "--data-dir", str(folder)),
        *("--plugins", "proxy_names.KnowsTheStore", "--threaded"),
        *("--num-workers", "1", "--num-acceptors", "1"),
    ]
    here = environment(PYTHONPATH=str(Path(__file__).parent))
    with subprocess.Popen(argv, env=here, stdout=subprocess.DEVNULL) as server:
        try:
            told = wait_for(lambda: port.exists() and port.read_text().strip(), what="the proxy")
            yield HttpProxy(f"http://127.0.0.1:{told}", log)
        finally:
            server.terminate()


def behind(endpoint: str) -> str:
    """The endpoint of a store of this machine as the proxy knows it."""
    return endpoint.replace("127.0.0.1", NAME)


def reached(endpoint: str) -> str:
    """The same store for those that stand beside the proxy, not before it."""
    return endpoint.replace(NAME, "127.0.0.1")


def direct_to_this_machine() -> None:
    """Let a proxy of whoever runs the tests serve for the way out alone."""
    if any(name in os.environ or name.upper() in os.environ for name in VARIABLES):
        for name in ("no_proxy", "NO_PROXY"):
            os.environ[name] = f"{os.environ.get(name, '')},127.0.0.1,localhost,172.17.0.1"


def use(proxy: HttpProxy | None, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    """Set the environment of a person behind a proxy, or of one without any."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        more = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url, **more}
    for name, value in more.items():
        monkeypatch.setenv(name, value)
