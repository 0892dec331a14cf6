"""Tables: stages of a scene, jobs, settings, evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from maquette.ui import text


def print_rows(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table that fits the terminal; its last column wraps."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=place < len(headings) - 1)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 140
    console.print(table)


def print_report(report: dict[str, Any], steps: tuple[str, ...]) -> None:
    """Print what each stage of `steps` did, how long it took and its numbers."""
    stages = [stage for stage in report["stages"] if stage["step"] in steps]
    rows = [
        (
            stage["step"],
            stage["stage"],
            text.duration(stage["wall_s"]),
            text.numbers(stage["numbers"]),
        )
        for stage in stages
    ]
    total = sum(stage["wall_s"] for stage in stages)
    print_rows(("step", "stage", "time", "numbers"), [*rows, ("", "", text.duration(total), "")])
