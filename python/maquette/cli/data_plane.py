"""Run a program of the data plane beside a command, and show its progress."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any


def run_program(argv: list[str], what: str, as_json: bool) -> dict[str, Any]:
    """Run it; it stops when this process ends, in whatever way.

    Args:
        what: What it does, for the sentence about a failure that it does not explain.

    Returns:
        The last event that it told of; empty for none.

    Raises:
        MaquetteError: it failed; carries its own words and exit code.
    """
    from maquette.agent.step_process import LIFELINE
    from maquette.errors import Interrupted
    from maquette.scene.events import parse_log_line
    from maquette.ui.printers import choose_printer

    read_end, write_end = os.pipe()
    environment = {**os.environ, LIFELINE: str(read_end)}
    printer, last = choose_printer(as_json), dict[str, Any]()
    try:
        with subprocess.Popen(argv, env=environment, pass_fds=[read_end], text=True,
                              stdout=subprocess.PIPE) as process:  # fmt: skip
            for line in process.stdout or ():
                printer.line(_completed(line.rstrip("\n")))
                last = parse_log_line(line) or last
    except KeyboardInterrupt:
        raise Interrupted(
            f"{what} was stopped, and its files are as they were",
            hint="run the same command again",
        ) from None
    finally:
        printer.close()
        os.close(read_end)
        os.close(write_end)
    if process.returncode:
        raise _failure(process.returncode, last, what)
    return last


def _completed(line: str) -> str:
    """A line of the log whose commands mean the scene of this command."""
    from maquette.cli.arguments import complete
    from maquette.scene.events import LOG_PREFIX, SENTENCES, parse_log_line

    event = parse_log_line(line)
    if event is None:
        return line
    said = {name: complete(str(event[name])) for name in SENTENCES & event.keys()}
    return LOG_PREFIX + json.dumps(event | said)


def _failure(code: int, last: dict[str, Any], what: str) -> Exception:
    from maquette.errors import ExitCode, Interrupted, from_exit_code

    if last.get("event") == "error":
        return from_exit_code(last["code"], last["what"], detail=last["detail"], hint=last["hint"])
    if code < 0:
        return Interrupted(f"{what} was ended by signal {-code}")
    return from_exit_code(ExitCode.JOB_FAILED, f"{what} ended with {code}")
