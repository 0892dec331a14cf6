"""Print measured rows: a table for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    case: str
    tool: str
    metric: str
    value: float
    unit: str


def print_rows(rows: list[Row], as_json: bool) -> None:
    """Print the rows in the form asked for; a table also names date and machine."""
    if as_json:
        for row in rows:
            print(json.dumps(asdict(row)))
        return
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}\n")
    for row in rows:
        print(f"{row.case:<34} {row.tool:<10} {row.metric:<22} {row.value:>10.4g} {row.unit}")


def machine() -> str:
    """Cores, memory and system of this machine in a few words."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} cores, {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )
