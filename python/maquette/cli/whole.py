"""`maquette all`: the three steps, unattended, continued wherever they were interrupted."""

from __future__ import annotations

import threading
from _thread import interrupt_main
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import SettingWords, load_settings
from maquette.errors import ExitCode, Interrupted, MaquetteError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.jobs.ledger import StepLedger
    from maquette.runners.host_limit import HostLimit

POLL_S = 1.0


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("all")(run_all)


def run_all(settings: SettingWords = None) -> None:
    """Run prepare, process and extract on BACKEND; what is done or still runs is not started again.

    A step that fails is tried RETRIES times more, where that can help. HOST_LIMIT_HOURS: saves and
    leaves before this machine is taken away; the same command continues on the next.
    """
    from maquette.cli.next_command import print_next
    from maquette.cli.scenes import print_results
    from maquette.pipelines.registry import get_pipeline
    from maquette.runners.host_limit import HostLimit

    chosen = load_settings(settings).model_copy(update={"wait": True})
    limit = HostLimit(chosen.host_limit_hours)
    steps = tuple(get_pipeline(chosen.pipeline).steps)
    after = ""
    for step in steps:
        after, chosen = _complete_in_time(step, chosen, after, limit)
    if (chosen.scene_dir / "report.json").exists():
        print_results(chosen, steps)
    print_next(chosen, steps[-1])


def _complete_in_time(
    step: str, settings: Settings, after: str, limit: HostLimit
) -> tuple[str, Settings]:
    """`_complete`, left before this machine goes.

    Raises:
        Interrupted: it was; what runs here has saved, what runs elsewhere goes on.
    """
    from maquette.runners.registry import BACKENDS

    ends_here = BACKENDS[settings.backend].ends_with_host
    try:
        if limit.is_up:
            raise Interrupted("no time is left on this machine")
        leave = partial(_save_and_stop, step, settings) if ends_here else interrupt_main
        with limit.calling(leave):
            return _complete(step, settings, after)
    except (Interrupted, SystemExit):
        if not limit.is_up:
            raise
        state = "is saved" if ends_here else "goes on"
        raise Interrupted(
            f"left {step} of {settings.model}, which {state}: this machine goes "
            f"{limit.hours:g} hours after its start (HOST_LIMIT_HOURS)",
            hint="the same command continues it, here or on the next machine",
        ) from None


def _save_and_stop(step: str, settings: Settings) -> None:
    """Ask the job of a step, if one runs, to save and stop; whoever follows it hears of its end."""
    from maquette.runners import tracking

    ledger = _ledger_of(step, settings)
    if ledger.path.exists() and not ledger.is_damaged:
        with suppress(MaquetteError):  # asked again soon
            tracking.cancel(ledger)


def _ledger_of(step: str, settings: Settings) -> StepLedger:
    from maquette.jobs.ledger import StepLedger
    from maquette.pipelines.registry import owner_of

    owner = owner_of(settings.pipeline, step)
    return StepLedger(settings.logs_dir, settings.group, settings.model, owner, step)


def _complete(step: str, settings: Settings, after: str) -> tuple[str, Settings]:
    """Bring one step to its end; returns when that was, and the settings for the next.

    Args:
        after: When the step before it ended; an older result of this one does not count.
    """
    ledger = _ledger_of(step, settings)
    failures = 0
    while True:
        try:
            if not settings.force and (ended := _already(step, settings, ledger, after)):
                return ended, settings
            _run(step, settings)
            return str(ledger.read()["status"]["finalizedAt"]), settings
        except MaquetteError as error:
            failures += 1
            if failures > settings.retries or not can_help(error, ledger):
                raise
            print(f"{step} failed ({error.what}); trying again, {failures} of {settings.retries}")
            _rescue(ledger)
            settings = _with_fallback(settings, ledger)


def _already(step: str, settings: Settings, ledger: StepLedger, after: str) -> str:
    """When this step ended, if it is done or its running job comes to a good end; else ""."""
    from maquette.cli.engine_results import take_over
    from maquette.cli.following import follow
    from maquette.cli.run import finish
    from maquette.jobs.states import has_ended
    from maquette.runners import tracking

    if not ledger.path.exists() or ledger.is_damaged:
        return ""
    document = tracking.refresh(ledger)
    if not has_ended(document["status"]):
        print(f"{step} of {settings.model}: job {document['id']} still runs, following it")
        document = _known_to_backend(ledger)
        document = follow(ledger, as_json=False) if document["maquette"]["handle"] else document
        if tracking.is_complete(document):
            finish(document, ledger, settings, as_json=False)
    if not tracking.is_complete(document) or not _is_as_asked(step, settings, document):
        return ""
    ended = str(document["status"]["finalizedAt"])
    if ended < after:
        return ""
    if settings.pull:
        tracking.collect(ledger)
    take_over(document, settings, as_json=False)  # nobody did, if the job ran with WAIT=0
    print(f"{step} of {settings.model}: done, job {document['id']}")
    return ended


def _known_to_backend(ledger: StepLedger) -> dict[str, Any]:
    """Wait until a job whose submission was cut off is found, or is known to have failed."""
    from maquette.jobs.states import has_ended
    from maquette.runners import tracking

    while True:
        document = tracking.refresh(ledger)
        if document["maquette"]["handle"] or has_ended(document["status"]):
            return document
        threading.Event().wait(POLL_S)


def _is_as_asked(step: str, settings: Settings, document: dict[str, Any]) -> bool:
    """Whether a job was given the options that the settings of now would give."""
    from maquette.config import remembered
    from maquette.planning.building import build_job
    from maquette.runners.base import get_runner

    told = remembered.filled(settings, step)
    planned = get_runner(settings.backend).plan(build_job(step, told))
    ours = document["maquette"]
    return bool(
        ours["backend"] == settings.backend
        and ours["request"].get("options") == planned.get("options")
    )


def _run(step: str, settings: Settings) -> None:
    from maquette.cli.run import run_step

    run_step(step, settings, as_json=False, table=False)


def can_help(error: MaquetteError, ledger: StepLedger) -> bool:
    """Whether trying again can help: not against wrong input, and not beyond a time limit."""
    from maquette.agent.arguments import TIME_IS_UP

    if error.exit_code != ExitCode.JOB_FAILED or not ledger.path.exists():
        return False
    status = ledger.read()["status"]
    return bool(status["info"]["code"] != "JOB_TIMEOUT" and status["exitCode"] != TIME_IS_UP)


def _with_fallback(settings: Settings, ledger: StepLedger) -> Settings:
    """The settings to go on with, where the backend knows some that do not fail in the same way."""
    from maquette.runners.base import SupportsFallback, get_runner

    document = ledger.read()
    runner = get_runner(document["maquette"]["backend"])
    if not isinstance(runner, SupportsFallback):
        return settings
    changes = runner.fallback_options(document, settings)
    for name, value in changes.items():
        print(f"from here on with {name.upper()}={value}")
    options = settings.backend_options | changes
    return settings.model_copy(update={"backend_options": options})


def _rescue(ledger: StepLedger) -> None:
    """Have results copied again that could not be copied at the job's end; they are paid for."""
    from maquette.runners import tracking
    from maquette.runners.base import SupportsPush, get_runner

    document = tracking.refresh(ledger)
    runner = get_runner(document["maquette"]["backend"])
    status = document["status"]
    if status["state"] != "SYNC_FAILED" or not status["startedAt"]:  # else there are no results
        return
    if not isinstance(runner, SupportsPush):
        return
    try:
        runner.push_now(document["maquette"]["handle"])
    except MaquetteError as error:
        print(f"the results could not be copied: {error.what}")
    else:
        tracking.note_push(ledger, document["id"])
