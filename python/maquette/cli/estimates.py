"""`maquette estimate`: what the steps of a scene will take, before any of it is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords
from maquette.errors import UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.planning.estimating import StepEstimate


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("estimate")(estimate)


def estimate(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Estimate time, memory and money of each step: here, or on machines to rent (FLAVOR=)."""
    from dataclasses import asdict

    from maquette.config.loading import load
    from maquette.runners import registry
    from maquette.runners.base import SupportsEstimate, get_runner
    from maquette.ui.tables import print_rows

    renting = [name for name, facts in registry.BACKENDS.items() if facts.rents_machines]
    chosen = load(settings or (), *map(registry.option_class, renting))
    runner = get_runner(_backend_of(chosen, renting))
    if not isinstance(runner, SupportsEstimate):
        raise UsageError(
            f"nothing is known of the machines of BACKEND={chosen.backend}",
            hint="without BACKEND this machine is estimated",
        )
    found = runner.estimate(chosen)
    if as_json:
        print(json.dumps({**asdict(found), "steps": [asdict(step) for step in found.steps]}))
        return
    has_run = any(step.ran_s is not None for step in found.steps)
    headings = ("step", "machine", "time", "GiB", "EUR", *(["last run here"] if has_run else []))
    print_rows(headings, [_row(step)[: len(headings)] for step in found.steps])
    for remark in found.remarks:
        print(remark)


def _backend_of(settings: Settings, renting: list[str]) -> str:
    """BACKEND; where it is not given, the one that what was given is for."""
    from maquette.config.settings import COMMAND_LINE
    from maquette.runners import registry

    if "BACKEND" in settings.sources:
        return settings.backend
    given = {name for name, source in settings.sources.items() if source == COMMAND_LINE}
    own = registry.settings_of(settings.backend).keys()
    meant = [name for name in renting if given & (registry.settings_of(name).keys() - own)]
    return meant[0] if meant else settings.backend


def _row(step: StepEstimate) -> tuple[str, ...]:
    from maquette.ui import text

    ran = "" if step.ran_s is None else text.duration(step.ran_s)
    return (
        step.step,
        step.flavor,
        f"{text.duration(step.low_s)} … {text.duration(step.high_s)}",
        f"{step.memory_gib:.1f}" if step.memory_gib else "?",
        _money(step),
        ran + (f", {step.ran_gib:.1f} GiB" if step.ran_gib else ""),
    )


def _money(step: StepEstimate) -> str:
    if step.low_eur is None or step.high_eur is None:
        return "?"
    return f"{step.low_eur:.2f} … {step.high_eur:.2f}" if step.high_eur else "no charge"
