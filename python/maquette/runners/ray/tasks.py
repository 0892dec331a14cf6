"""What a machine of the cluster does for a shard: stands alone, since it may lack maquette."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

_NOT_FOUND, _CONFIG = 13, 10
_LINES = 50
_ORPHAN = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def run(argv: list[str], log: str) -> tuple[int, str, list[str]]:
    """Run a shard's command here.

    Returns:
        Its exit code as shells write it, this machine, and what to tell beside its log.
    """
    where = os.uname().nodename
    if not Path(log).parent.is_dir():
        what = f"the cluster's machine {where} does not see the scene: `{Path(log).parent}`"
        hint = "all machines have to see it under the same path, or CARRY=store: docs/cluster.md"
        return _NOT_FOUND, where, [_event(_NOT_FOUND, what, hint)]
    if lacking := _lacking(where):
        return _CONFIG, where, lacking
    with open(log, "ab") as output:
        return _ended(["maquette.recon.step", *argv[1:]], output, {}), where, []


def run_by_store(argv: list[str], secrets: dict[str, str]) -> tuple[int, str, list[str]]:
    """Run a shard whose files go by the store, see `maquette.agent.shard_run`.

    Args:
        secrets: The store's keys, for its environment.

    Returns:
        As `run`, with the last lines that it wrote.
    """
    where = os.uname().nodename
    if lacking := _lacking(where):
        return _CONFIG, where, lacking
    with tempfile.TemporaryFile() as output:
        code = _ended(["maquette.agent.shard_run", *argv[1:]], output, secrets)
        output.seek(0)
        return code, where, output.read().decode(errors="replace").splitlines()[-_LINES:]


def _lacking(where: str) -> list[str]:
    """What to tell where this Python has no maquette."""
    if importlib.util.find_spec("maquette") is not None:
        return []
    what = f"the Python of the cluster's machine {where} has no maquette: {sys.executable}"
    return [_event(_CONFIG, what, "install the same wheel on all machines")]


def _ended(words: list[str], output: IO[bytes], secrets: dict[str, str]) -> int:
    """Run a module; its exit code. It ends with this worker, which Ray may kill at any time."""
    done = subprocess.run(
        [sys.executable, "-c", _ORPHAN, sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        env={**os.environ, **secrets},
    )  # fmt: skip
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _event(code: int, what: str, hint: str) -> str:
    event = {"event": "error", "code": code, "what": what, "detail": "", "hint": hint}
    return f"@maquette {json.dumps(event)}"
