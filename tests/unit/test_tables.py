"""Tables of many rows are printed without rich, and look the same."""

from __future__ import annotations

import time

import pytest

from maquette.ui import tables

HEADINGS = ("model", "state", "job")
Rows = list[tuple[str, ...]]


def printed(rows: Rows, capsys: pytest.CaptureFixture[str]) -> list[str]:
    tables.print_rows(HEADINGS, rows)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("last", ["process-1", "ü", "x" * 200, "[bold]a[/bold]", ""])
def test_many_rows_look_as_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: str
) -> None:
    rows: Rows = [(f"model-{n}", "QUEUED", f"job-{n}") for n in range(10)] + [("m", "DONE", last)]
    few = printed(rows, capsys)
    monkeypatch.setattr(tables, "MANY_ROWS", 1)
    assert printed(rows, capsys) == few


def test_a_thousand_rows_take_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    rows: Rows = [(f"model-{n}", "QUEUED", f"job-{n}") for n in range(1000)]
    begun = time.process_time()
    lines = printed(rows, capsys)
    assert len(lines) == 1003 + 1 and time.process_time() - begun < 0.5  # with rich it is seconds
