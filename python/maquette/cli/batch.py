"""`maquette batch`: many scenes, one command."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords
from maquette.errors import ExitCode, UsageError, from_exit_code, shown_path

if TYPE_CHECKING:
    from maquette.batch.queue import Run
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("batch")(batch)


def batch(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Run every scene of LIST to its end, JOBS at once; what is done is not done again.

    One that fails does not stop the others.
    """
    from maquette.batch.listing import read_list
    from maquette.batch.queue import run_all
    from maquette.config.loading import load, make_words
    from maquette.runners.host_limit import HostLimit

    typed = [*make_words(), *(settings or ())]
    chosen = load(settings or (), is_for_others=True)
    if not chosen.list:
        raise UsageError(
            "LIST= names the file of scenes, and was not given",
            hint="make batch LIST=scenes.yaml; docs/batch.md shows such a file",
        )
    path = Path(chosen.list)
    entries = read_list(path, typed)
    limit = HostLimit(chosen.host_limit_hours)
    logs = chosen.logs_dir / "batch" / path.stem
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runs = run_all(entries, logs, chosen.jobs, limit, _quietly if as_json else _tell)
    except KeyboardInterrupt:
        print("\njobs that run go on; the same command continues the list", file=sys.stderr)
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None
    if as_json:
        print(json.dumps([_facts(run) for run in runs]))
    else:
        _print_table(runs)
    _raise_for(runs)


def _tell(run: Run) -> None:
    from maquette.batch.queue import RUNNING
    from maquette.ui.text import duration

    if run.state == RUNNING:
        line = f"{run.entry.name}: started, log: {shown_path(run.log)}"
    else:
        told = f": {run.told}" if run.told else ""
        line = f"{run.entry.name}: {run.state} after {duration(run.seconds)}{told}"
    print(line, flush=True)


def _quietly(run: Run) -> None:
    """Only the result is asked for."""


def _print_table(runs: list[Run]) -> None:
    from maquette.ui.tables import print_rows
    from maquette.ui.text import duration

    rows = [
        (
            run.entry.settings.model,
            run.entry.settings.pipeline,
            run.state,
            duration(run.seconds) if run.process else "",
            run.told or _results(run),
        )
        for run in runs
    ]
    print_rows(("model", "pipeline", "state", "time", "results, or why not"), rows)


def _results(run: Run) -> str:
    """Where the results of a scene lie, once they do."""
    settings: Settings = run.entry.settings
    folder = settings.scene_dir / "results" / settings.pipeline
    return shown_path(folder) if folder.is_dir() else ""


def _facts(run: Run) -> dict[str, Any]:
    settings = run.entry.settings
    return {
        "model": settings.model,
        "pipeline": settings.pipeline,
        "group": settings.group,
        "state": run.state,
        "seconds": round(run.seconds, 1),
        "error": run.told,
        "log": str(run.log),
        "results": _results(run),
    }


def _raise_for(runs: list[Run]) -> None:
    """Tell by the exit code whether all are done.

    Raises:
        MaquetteError: a scene failed, or was left.
    """
    from maquette.batch.queue import FAILED, STOPPED, WAITING

    failed = sum(run.state == FAILED for run in runs)
    left = sum(run.state in (STOPPED, WAITING) for run in runs)
    if not failed and not left:
        return
    told = [f"{failed} failed"] * bool(failed) + [f"{left} not done"] * bool(left)
    code = ExitCode.JOB_FAILED if failed else ExitCode.INTERRUPTED
    raise from_exit_code(
        int(code),
        f"of {len(runs)} scenes {', '.join(told)}",
        hint="the same command tries these again; their logs are named above",
    )
