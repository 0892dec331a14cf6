"""`maquette run` and `maquette plan`: start a step, or show exactly what would start."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsChart, AsJson, SettingWords, Step, check_step, load_settings
from maquette.errors import (
    ExitCode,
    Interrupted,
    MaquetteError,
    from_exit_code,
    shown_path,
)

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.jobs.inputs import BucketObjects
    from maquette.jobs.ledger import StepLedger
    from maquette.jobs.spec import JobSpec


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("run")(run)
    app.command("plan")(plan)
    app.command("demo")(demo)


def run(
    step: Step, settings: SettingWords = None, as_json: AsJson = False, chart: AsChart = False
) -> None:
    """Run a step as a job and follow it (WAIT=0: return at once)."""
    run_step(step, load_settings(settings), as_json or chart, chart=chart)


def plan(step: Step, settings: SettingWords = None) -> None:
    """Print the exact request that `run` would submit; sends nothing."""
    from maquette.config import remembered
    from maquette.config.loading import load
    from maquette.planning.building import build_job
    from maquette.runners.base import get_runner

    chosen = remembered.filled(load(settings or ()), step)
    job = build_job(check_step(step, chosen), chosen)
    request = get_runner(chosen.backend).plan(job)
    _name_licence(job)
    print(json.dumps(request, indent=2))


def demo(settings: SettingWords = None) -> None:
    """Run prepare, process and extract, then evaluate, on the bundled sample video."""
    from maquette.cli.next_command import print_next
    from maquette.cli.scenes import print_evaluation, print_results
    from maquette.pipelines.registry import get_pipeline

    chosen = load_settings(settings)
    _look_for_sample(chosen)
    steps = tuple(get_pipeline(chosen.pipeline).steps)
    for step in steps:
        run_step(step, chosen, as_json=False, table=False)
    print_results(chosen, steps)
    print_evaluation(chosen)
    print_next(chosen, steps[-1], is_measured=True)


def _look_for_sample(settings: Settings) -> None:
    from maquette.errors import NotFound
    from maquette.resources import IS_CHECKOUT

    if not (IS_CHECKOUT or settings.input or (settings.scene_dir / "input").exists()):
        raise NotFound(
            "the sample video is not part of an installed maquette",
            detail="it is `samples/owl.mp4` in the project's sources",
            hint="`maquette demo INPUT=path/to/owl.mp4`, or `maquette all INPUT=` with your own",
        )


def run_step(
    step: str, settings: Settings, as_json: bool, *, table: bool = True, chart: bool = False
) -> None:
    """Submit a step and, unless WAIT=0, follow it to its end.

    What follows a job is imported before it is submitted: Python loses some Ctrl-C in imports.

    Args:
        chart: With `as_json`: also points of a chart of its progress.

    Raises:
        UsageError: the step already runs, or finished training would get stale.
        MaquetteError: the job failed; carries the step's own words and exit code.
    """
    from maquette.cli import remembering
    from maquette.cli.following import follow
    from maquette.cli.next_command import print_next
    from maquette.cli.scenes import print_results
    from maquette.config import remembered
    from maquette.planning.building import build_job
    from maquette.runners import tracking

    settings = remembered.filled(settings, step)
    job = build_job(check_step(step, settings), settings)
    remembering.announce(job, settings, as_json)
    if job.input.objects:
        _fetch_input(job, job.input.objects, as_json)
    ledger = tracking.ledger_of(job)
    if settings.force and ledger.path.exists() and not ledger.is_damaged:
        tracking.cancel(ledger)
    _name_licence(job)
    what = "interrupted while the job was submitted: its state tells whether it began"
    try:
        document = submit(job, settings, as_json)
        what = "the job goes on without this terminal"
        remembering.keep(job, settings)
        if not as_json:
            told = f"job {document['id']} on {settings.backend}"
            print(f"{step} of {settings.model}: {told}", flush=True)
        if settings.wait:
            document = follow(ledger, as_json, chart)
    except KeyboardInterrupt:
        print(f"\n{what}", file=sys.stderr)
        _say_how_to_follow(step, settings)
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None
    if not settings.wait:
        if as_json:
            print(json.dumps(document))
        else:
            _say_how_to_follow(step, settings)
        return
    finish(document, ledger, settings, as_json)
    if as_json or not table:
        return
    if (settings.scene_dir / "report.json").exists():
        print_results(settings, (step,))
    print_next(settings, step)


def finish(document: dict[str, Any], ledger: StepLedger, settings: Settings, as_json: bool) -> None:
    """Bring here what an ended job made, unless PULL=0, and say how it ended.

    Raises:
        MaquetteError: the job failed; carries the step's own words and exit code.
    """
    from maquette.cli.engine_results import take_over
    from maquette.jobs.states import has_ended
    from maquette.runners import tracking

    if settings.pull:
        try:
            collected = tracking.collect(ledger)
            if has_ended(collected["status"]):  # else the disk was too full to write the end down
                document = collected
        except MaquetteError:
            if tracking.is_complete(document):
                raise  # else how the job failed matters more
    take_over(document, settings, as_json)
    if as_json:
        print(json.dumps(document))
    _say_cost(document)
    raise_for_end(document, ledger)


def submit(job: JobSpec, settings: Settings, as_json: bool) -> dict[str, Any]:
    """Submit a job to its backend, with the secrets beside it, and show what moves meanwhile."""
    from maquette.runners import tracking
    from maquette.runners.base import SupportsRemarks, get_runner
    from maquette.ui.transfers import TransferPrinter

    runner = get_runner(settings.backend)
    if isinstance(runner, SupportsRemarks):
        for remark in runner.remarks(runner.plan(job)):
            print(f"warning: {remark}", file=sys.stderr, flush=True)
    printer = TransferPrinter(as_json)
    try:
        document = tracking.submit(job, runner, printer.show, settings.secrets())
    finally:
        printer.close()
    for remark in (document["maquette"]["handle"] or {}).get("remarks", ()):
        print(f"warning: {remark}", file=sys.stderr, flush=True)
    return document


def _say_cost(document: dict[str, Any]) -> None:
    cost = document["maquette"]["cost"]
    if cost and cost.get("at_most") is not None:
        minutes = f"{cost['minutes']} min at {cost['eur_per_minute']:.4f} EUR, {cost['price_from']}"
        print(f"cost: at most {cost['at_most']:.2f} EUR ({minutes})", file=sys.stderr)


def raise_for_end(document: dict[str, Any], ledger: StepLedger) -> None:
    """Raise the error that tells how a job failed; return silently for one that is done."""
    from maquette.runners.tracking import is_complete

    status, ours = document["status"], document["maquette"]
    if is_complete(document):
        return
    log = f"log: {shown_path(ledger.log_path(document['id']))}"
    asked = (ours["reason"] or {}).get("code", ExitCode.INTERRUPTED) == ExitCode.INTERRUPTED
    if status["state"] == "INTERRUPTED" and asked:
        again = f"`make {ours['step']} {ledger.names}` continues it"
        raise Interrupted(f"job {document['id']} was stopped and saved", detail=log, hint=again)
    reason = ours["reason"] or {"what": status["info"]["message"], "code": 12}
    detail = "\n".join(part for part in (reason.get("detail"), log) if part)
    raise from_exit_code(
        int(reason.get("code") or 12), reason["what"], detail=detail, hint=reason.get("hint") or ""
    )


def _name_licence(job: JobSpec) -> None:
    """Say whose terms an upstream engine comes with, before it is used."""
    if job.licence:
        print(f"{job.spec['image']}: {job.licence}", file=sys.stderr, flush=True)


def _fetch_input(job: JobSpec, objects: BucketObjects, as_json: bool) -> None:
    from maquette.storage.input_download import fetch
    from maquette.ui.transfers import TransferPrinter

    printer = TransferPrinter(as_json)
    try:
        fetch(objects, job.scene, job.data, printer.show)
    finally:
        printer.close()


def _say_how_to_follow(step: str, settings: Settings) -> None:
    from maquette.cli.next_command import named_in_questions
    from maquette.ui.targets import as_typed

    which = named_in_questions(settings)
    print(as_typed(f"  follow it:  `make {step}-logs {which}`"))
    print(as_typed(f"  its state:  `make {step}-status {which}`"))
    print(as_typed(f"  stop it:    `make {step}-stop {which}`"))
