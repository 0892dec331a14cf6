"""What Slurm says of a job, read from the answers of its commands; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# Of squeue, and of sacct.
COLUMNS = ("JobArrayID", "JobID", "State", "Reason", "exit_code", "RestartCnt", "StartTime",
           "EndTime", "NodeList", "Name")  # fmt: skip
ACCOUNTED = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName")
_NO_NODE = "None assigned"
_SIGNAL_BITS, _CODE_SHIFT = 0x7F, 8


@dataclass(frozen=True)
class Row:
    """What Slurm says of a job.

    Attributes:
        id: Its number; of a task of an array: `number_index`.
        word: Slurm's word for its state.
        code: Its exit code as shells write it, once it has ended; None where it is not told.
        starts: How often it was queued again.
        started_at, ended_at: UTC, ISO 8601; "" where it is not known.
    """

    id: str
    word: str
    reason: str
    code: int | None
    starts: int
    started_at: str
    ended_at: str
    node: str
    name: str


def read(said: str) -> dict[str, Row]:
    """What squeue says with COLUMNS, a bar after each, by the jobs' numbers."""
    lines = (line.split("|") for line in said.splitlines())
    rows = [_row(cells) for cells in lines if len(cells) > len(COLUMNS)]
    return {row.id: row for row in rows}


def read_accounted(said: str) -> dict[str, Row]:
    """What sacct says with ACCOUNTED, a bar between them, likewise."""
    lines = (line.split("|") for line in said.splitlines())
    rows = [_accounted_row(cells) for cells in lines if len(cells) == len(ACCOUNTED)]
    return {row.id: row for row in rows}


def _row(cells: Sequence[str]) -> Row:
    identity, _, word, reason, status, starts, began, ended, node, name, *_ = cells
    return Row(
        id=identity,
        word=word,
        reason=reason.strip("()"),
        code=_code(int(status)) if status.isdigit() else None,
        starts=int(starts) if starts.isdigit() else 0,
        started_at=_date(began),
        ended_at=_date(ended),
        node=node,
        name=name,
    )


def _accounted_row(cells: Sequence[str]) -> Row:
    identity, word, code, began, ended, node, name = cells
    return Row(
        id=identity,
        word=word.split()[0],
        reason="",
        code=_accounted_code(code),
        starts=0,
        started_at=_date(began),
        ended_at=_date(ended),
        node="" if node == _NO_NODE else node,
        name=name,
    )


def _accounted_code(text: str) -> int:
    code, _, number = text.partition(":")
    return 128 + int(number) if number.isdigit() and int(number) else int(code)


def _code(status: int) -> int:
    """An exit code as shells write it, from what `wait` gives."""
    number = status & _SIGNAL_BITS
    return 128 + number if number else status >> _CODE_SHIFT


def _date(seconds: str) -> str:
    """A date as documents write it, from seconds since 1970."""
    if not seconds.isdigit() or seconds == "0":
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
