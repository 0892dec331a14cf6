"""A job's own process in the cluster: looks whether all is there, runs the step, tells its end.

    python3 -m maquette.runners.ray.driver --scene DIR … -- maquette-step …

Shards of the step go to the cluster's machines, see `launcher.py`. The step saves and stops when
Ray asks this process to, and when this process is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

from maquette.agent.step_process import SignalRequests, StepProcess, supervise, with_python
from maquette.errors import ConfigError, MaquetteError, NotFound
from maquette.resources import version
from maquette.runners.ray.marks import BEGIN, END, STOPPING, mark
from maquette.runners.ray.spec import STOP_GRACE_S, digest
from maquette.scene.events import Progress
from maquette.stages.commands import LAUNCHER

_SEEN_WITHIN_S = 30.0  # a shared folder may show a new file so much later
_PAUSE_S = 0.5


def main(argv: list[str] | None = None) -> int:
    """Run the job; returns its exit code."""
    requests = SignalRequests()
    _write(mark(BEGIN))
    try:
        arguments = _parser().parse_args(argv)
        _check(arguments)
    except MaquetteError as error:
        code = Progress().failed(error)
    else:
        code = _run(arguments, requests)
    _write(mark(END, code=code))
    return code


def _run(arguments: argparse.Namespace, requests: SignalRequests) -> int:
    environment = {**os.environ, LAUNCHER: "maquette.runners.ray.launcher"}
    command = with_python([_expanded(word) for word in arguments.command])
    if command[0] == "python":  # of an agent
        command[0] = sys.executable
    step = StepProcess(command, environment)
    told = False

    def tick() -> None:
        nonlocal told
        if requests.stop and not told:
            told = True
            _write(mark(STOPPING))

    code = supervise(step, requests, None, arguments.grace_s, tick).code
    tick()  # Ray asks the step too, which may end before we look
    return code


def _expanded(word: str) -> str:
    return str(Path(word).expanduser()) if word.startswith("~/") else word


def _check(arguments: argparse.Namespace) -> None:
    """Look for what the step needs before it starts.

    Raises:
        ConfigError: this maquette is another than the one that sent the job.
        NotFound: this machine does not see the scene, which it has to unless it comes by a store.
    """
    ours = version()
    if ours != arguments.version:
        raise ConfigError(
            f"the cluster has maquette {ours}, the job was sent by {arguments.version}",
            hint="install the same wheel on all its machines",
        )
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while arguments.digest and not _sees(arguments.options, arguments.digest):
        if not arguments.scene.is_dir() or time.monotonic() > deadline:
            raise NotFound(
                f"the cluster's machine {os.uname().nodename} does not see the scene "
                f"`{arguments.scene}`",
                hint="put BASE_DIR into a folder that all machines share, under the same path, or "
                "let scenes come by a data store (CARRY=store): docs/cluster.md",
            )
        threading.Event().wait(_PAUSE_S)


def _sees(options: Path, wanted: str) -> bool:
    try:
        return digest(json.loads(options.read_text(encoding="utf-8"))) == wanted
    except (OSError, ValueError):
        return False


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--options", type=Path)
    parser.add_argument("--digest", default="")
    parser.add_argument("--version", required=True)
    parser.add_argument("--grace-s", type=float, default=STOP_GRACE_S)
    parser.add_argument("command", nargs="+")
    return parser


if __name__ == "__main__":
    sys.exit(main())
