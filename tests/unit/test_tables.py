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


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_shows_whole_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    headings = ("setting", "default", "for", "meaning")
    meaning = "how many pictures are taken from the film, evenly, as sharp as can be had"
    tables.print_rows(headings, [("FRAMES", "100", "prepare", meaning), ("X" * 30, "", "", "why")])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    for word in ("FRAMES", "100", "prepare", "X" * 30, "evenly,", "sharp"):
        assert word in said


def test_jobs_fit_sixty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    headings = ("model", "pipeline", "step", "state", "group", "time", "job")
    job = "process-20260101-120000-abcdef"
    row = ("my-shoe", "photogrammetry", "process", "RUNNING", "experiments", "3 min 5 s", job)
    tables.print_rows(headings, [row])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60 and lines[1] == "my-shoe"
    assert all(cell in " ".join(" ".join(lines).split()) for cell in row)
