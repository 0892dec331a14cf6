"""Questions about jobs, and stopping one. None of these starts anything."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords, Step, check_step, load_settings

if TYPE_CHECKING:
    from maquette.jobs.ledger import StepLedger
    from maquette.runners.base import SupportsAdopt


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("job")(job)
    app.command("status")(status)
    app.command("logs")(logs)
    app.command("stop")(stop)
    app.command("push")(push)
    app.command("jobs")(jobs)


def job(step: Step, settings: SettingWords = None) -> None:
    """Print the whole job document of a step."""
    print(json.dumps(_refreshed(_ledger(step, settings)), indent=2))


def status(step: Step, settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Print the state of a step's job: one bare word."""
    document = _refreshed(_ledger(step, settings))
    print(json.dumps(document["status"]) if as_json else document["status"]["state"])


def logs(step: Step, settings: SettingWords = None) -> None:
    """Print a job's log; while it runs, follow it to its end."""
    from maquette.runners.base import get_runner
    from maquette.runners.watching import watched_lines
    from maquette.ui.printers import PlainPrinter

    ours = _refreshed(_ledger(step, settings))["maquette"]
    printer = PlainPrinter(raw=True)
    for line in watched_lines(get_runner(ours["backend"]), ours["handle"] or {}):
        printer.line(line)


def stop(step: Step, settings: SettingWords = None) -> None:
    """Stop a step's job; it saves first. Fine if it has ended."""
    from maquette.runners import tracking

    document = tracking.cancel(_ledger(step, settings))
    print(document["status"]["state"])


def push(step: Step, settings: SettingWords = None) -> None:
    """Have a running job copy its files to the bucket now, then bring them here (PULL=0: not).

    Also for a job that could not copy its results at its end (SYNC_FAILED).
    """
    from maquette.errors import UsageError
    from maquette.jobs.states import has_ended
    from maquette.runners import tracking
    from maquette.runners.base import SupportsCollect, SupportsPush, get_runner

    ledger = _ledger(step, settings)
    document = _refreshed(ledger)
    ours = document["maquette"]
    runner = get_runner(ours["backend"])
    if not isinstance(runner, SupportsPush):
        raise UsageError(f"a job on {ours['backend']} works in the scene's own folder")
    state = document["status"]["state"]
    if not ours["handle"] or (has_ended(document["status"]) and state != "SYNC_FAILED"):
        raise UsageError(
            f"job {document['id']} is not running: {state}",
            hint="`make pull-data RELIST=1` brings what it left in the bucket",
        )
    runner.push_now(ours["handle"])
    print(f"{ours['step']} of {ours['model']}: asked to copy its files to the bucket")
    tracking.note_push(ledger, document["id"])
    if load_settings(settings).pull and isinstance(runner, SupportsCollect):
        runner.collect(ours["handle"])
        print(f"what it has copied by now is in {ours['scene']}")


def jobs(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[adopt] [NAME=value]...", help="`adopt`: see docs/ovh.md"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the current job of every step of every scene.

    `maquette jobs adopt` writes documents for the jobs that a backend knows and this folder lost.
    """
    from maquette.jobs.ledger import find_all
    from maquette.runners import tracking
    from maquette.runners.registry import option_class
    from maquette.ui.tables import print_rows

    words = list(settings or ())
    adopting = words[:1] == ["adopt"]
    runners = _adopting() if adopting else {}
    chosen = load_settings(words[adopting:], *map(option_class, runners))
    if adopting:
        documents = [document for runner in runners.values() for document in runner.adopt(chosen)]
    else:
        ledgers = find_all(chosen.logs_dir)
        documents = tracking.refresh_all(ledgers)
        for ledger in ledgers:
            if ledger.is_damaged:
                print(
                    f"warning: the job document is damaged: `{ledger.path}`; the next "
                    f"`make {ledger.step} {ledger.names}` puts it aside",
                    file=sys.stderr,
                )
    if as_json:
        print(json.dumps(documents))
    elif not documents:
        print("no jobs to adopt" if adopting else "no jobs yet")
    else:
        print_rows(
            ("model", "pipeline", "step", "state", "group", "time", "job"), map(_row, documents)
        )


def _adopting() -> dict[str, SupportsAdopt]:
    """The backends that remember jobs without documents."""
    from maquette.runners.base import SupportsAdopt, get_runner
    from maquette.runners.registry import BACKENDS

    runners = {name: get_runner(name) for name in BACKENDS}
    return {name: runner for name, runner in runners.items() if isinstance(runner, SupportsAdopt)}


def _row(document: dict[str, Any]) -> tuple[str, ...]:
    from maquette.jobs.document import ran_s
    from maquette.runners.failures import until_clock
    from maquette.ui import text

    ours, state = document["maquette"], document["status"]
    seconds, until = text.duration(ran_s(state)), ours.get("kept_until")
    word = f"failed, kept until {until_clock(until)}" if until else state["state"]
    names = (ours["model"], ours["pipeline"], ours["step"], word, ours["group"])
    return *names, seconds, document["id"]


def _ledger(step: str, words: list[str] | None) -> StepLedger:
    from maquette.jobs.ledger import StepLedger
    from maquette.pipelines.registry import owner_of

    settings = load_settings(words)
    check_step(step, settings)
    owner = owner_of(settings.pipeline, step)
    return StepLedger(settings.logs_dir, settings.group, settings.model, owner, step)


def _refreshed(ledger: StepLedger) -> dict[str, Any]:
    from maquette.runners import tracking

    return tracking.refresh(ledger)
