"""Follow a job until it has ended."""

from __future__ import annotations

from typing import Any

from maquette.jobs.ledger import StepLedger
from maquette.runners import tracking
from maquette.runners.base import get_runner
from maquette.runners.watching import patiently, watched_lines
from maquette.ui.printers import choose_printer


def follow(ledger: StepLedger, as_json: bool, chart: bool = False) -> dict[str, Any]:
    """Show a job's progress until it has ended; returns its last document."""
    document = patiently(lambda: tracking.refresh(ledger))
    ours = document["maquette"]
    printer = choose_printer(as_json, chart)
    try:
        for line in watched_lines(get_runner(ours["backend"]), ours["handle"] or {}):
            printer.line(line)
    finally:
        printer.close()
    return patiently(lambda: tracking.refresh(ledger))
