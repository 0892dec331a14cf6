"""What a step does as the last time, and what it would spoil: said before it is submitted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from maquette.errors import MaquetteError, UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.jobs.spec import JobSpec
    from maquette.scene.stale_work import StaleWork


def announce(job: JobSpec, settings: Settings, as_json: bool) -> None:
    """Say what the scene remembers for a step, and ask before finished training gets stale.

    Raises:
        UsageError: there is such training, YES=1 is not set and nobody agreed.
    """
    from maquette.config import remembered
    from maquette.scene.paths import Scene
    from maquette.scene.stale_work import find

    for sentence in remembered.remarks(settings, job.step):
        print(sentence, file=sys.stderr, flush=True)
    found = find(Scene(job.scene, job.pipeline), job.step, job.options)
    if found is None:
        return
    lines = _explanation(found)
    if not found.runs or settings.yes:
        print("\n".join(lines), file=sys.stderr, flush=True)
        return
    _ask(job, found, lines, is_askable=sys.stdin.isatty() and not as_json)


def keep(job: JobSpec, settings: Settings) -> None:
    """Write down what a step was told; the job that runs by now does not fail by it."""
    from maquette.config import remembered

    try:
        remembered.remember(settings, job.step)
    except (OSError, MaquetteError) as error:
        print(f"note: the scene does not remember its settings: {error}", file=sys.stderr)


def _explanation(found: StaleWork) -> list[str]:
    changes = [
        f"{name} was {was}, now {now}" if was != "" else f"{name}={now}"
        for name, (was, now) in found.changes.items()
    ]
    lines = [f"{', '.join(changes)}: made again: {', '.join(found.again)}"]
    if found.later:
        lines.append(f"what was made from them may be stale: {', '.join(found.later)}")
    if found.runs:
        lines.append(f"trained from them, and may no longer fit: {', '.join(found.runs)}")
    return lines


def _ask(job: JobSpec, found: StaleWork, lines: list[str], is_askable: bool) -> None:
    if is_askable:
        print("\n".join(lines), file=sys.stderr, flush=True)
        if typer.confirm("go on?", err=True):
            return
    before = " ".join(f"{name}={was}" for name, (was, _) in found.changes.items())
    raise UsageError(
        f"nothing was started: finished training of `{job.model}` would get stale",
        detail="" if is_askable else "\n".join(lines),
        hint=f"{before} keeps it as it is; YES=1 goes on",
    )
