"""Tables: stages of a scene, jobs, settings, evaluation."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from maquette.pipelines.pipeline import COMMON
from maquette.ui import text

MANY_ROWS = 100  # from here on rich, at milliseconds a row, is what a person waits for
PLAIN_WIDTH = 140
_READABLE = 20  # columns of a wrapped text that can be read


def print_rows(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table that fits the terminal; its last column wraps, or each row becomes lines."""
    rows = list(rows)
    width = terminal_width()
    if rows and _narrowest(headings, rows) > width:
        print("\n".join(stacked_lines(headings, rows, width)))
        return
    if len(rows) >= MANY_ROWS and (lines := plain_lines(headings, rows)):
        print("\n".join(lines))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=place < len(headings) - 1)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, width=width).print(table)


def terminal_width() -> int:
    """Columns of the terminal, or as COLUMNS tells; of a file and a pipe as many as lines take."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size((PLAIN_WIDTH, 0)).columns
    return PLAIN_WIDTH


def stacked_lines(headings: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Each row as a heading and lines below it: what the others say, then its last cell."""
    lines = [""]
    for row in rows:
        facts = [f"{heading} {cell}" for heading, cell in zip(headings, row, strict=True) if cell][
            1:
        ]
        if " " in row[-1]:  # a sentence needs no heading
            facts[-1] = row[-1]
        apart = [", ".join(facts[:-1]), facts[-1]] if row[-1] and len(facts) > 1 else facts
        lines.append(row[0])
        for words in apart:
            lines += textwrap.wrap(
                words, max(width, 20), initial_indent="    ", subsequent_indent="    "
            )
    return [*lines, ""]


def _narrowest(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> int:
    """Columns that a table needs, with a last column that can still be read."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return sum(widths[:-1]) + 3 * len(widths) + min(widths[-1], _READABLE)


def plain_lines(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """The same table without wrapping; nothing when a line is too long or a character is wide."""
    table = [headings, *rows]
    if not all(cell.isascii() and cell.isprintable() for row in table for cell in row):
        return []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if sum(widths) + 3 * len(widths) > terminal_width():
        return []
    head, *others = ["   ".join(map(str.ljust, row, widths)) for row in table]
    return ["", *(f" {line}" for line in (head, "─" * len(head), *others)), ""]


def print_report(report: dict[str, Any], pipeline: str, steps: tuple[str, ...]) -> None:
    """Print what each stage of a pipeline's `steps` did: time, the most memory, and its numbers."""
    owners = (COMMON, pipeline)
    stages = [s for s in report["stages"] if s["step"] in steps and s["pipeline"] in owners]
    rows = [
        (
            stage["step"],
            stage["stage"],
            text.duration(stage["wall_s"]),
            _memory([stage]),
            text.numbers(stage["numbers"]),
        )
        for stage in stages
    ]
    total = sum(stage["wall_s"] for stage in stages)
    sums = ("", "", text.duration(total), _memory(stages), "")
    print_rows(("step", "stage", "time", "memory", "numbers"), [*rows, sums])


def _memory(stages: list[dict[str, Any]]) -> str:
    """The most that one of some stages held; reports of before do not tell."""
    resident, gpu = (
        max((stage.get(key) or 0 for stage in stages), default=0)
        for key in ("peak_bytes", "gpu_peak_bytes")
    )
    parts = [text.size(resident)] if resident else []
    return " + ".join(parts + ([f"{text.size(gpu)} GPU"] if gpu else []))
