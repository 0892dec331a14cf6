"""What a machine of the cluster does for a shard: stands alone, since it may lack maquette."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

_NOT_FOUND, _CONFIG = 13, 10
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
        hint = "all machines have to see it under the same path: docs/cluster.md"
        return _NOT_FOUND, where, [_event(_NOT_FOUND, what, hint)]
    if importlib.util.find_spec("maquette") is None:
        what = f"the Python of the cluster's machine {where} has no maquette: {sys.executable}"
        return _CONFIG, where, [_event(_CONFIG, what, "install the same wheel on all machines")]
    command = [sys.executable, "-m", "maquette.recon.step", *argv[1:]]
    with open(log, "ab") as output:
        # The shard's process ends with this worker, which Ray may kill at any time.
        done = subprocess.run(
            [sys.executable, "-c", _ORPHAN, *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        )  # fmt: skip
    code = done.returncode
    return (code if code >= 0 else 128 - code), where, []


def _event(code: int, what: str, hint: str) -> str:
    event = {"event": "error", "code": code, "what": what, "detail": "", "hint": hint}
    return f"@maquette {json.dumps(event)}"
