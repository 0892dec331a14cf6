"""Progress as points of a chart."""

from __future__ import annotations

import json

import pytest

from maquette.scene.events import LOG_PREFIX
from maquette.ui.printers import choose_printer


def lines_of(capsys: pytest.CaptureFixture[str], *, chart: bool) -> list[dict[str, object]]:
    printer = choose_printer(as_json=True, chart=chart)
    for second, kind in enumerate(("step", "skipped", "started", "progress", "finished")):
        event = {"time": f"2026-11-27T07:00:{second * 2:02}.500Z", "event": kind, "stage": "fuse"}
        printer.line(LOG_PREFIX + json.dumps(event))
    printer.line("what a program wrote")
    printer.close()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_start_and_end_of_a_stage_is_a_point(capsys: pytest.CaptureFixture[str]) -> None:
    points = [line for line in lines_of(capsys, chart=True) if "chart" in line]
    assert points == [
        {"chart": "progress", "axis": "time (seconds)"},
        {"chart": "progress", "x": 2.0, "y": 1},
        {"chart": "progress", "x": 4.0, "y": 1},
        {"chart": "progress", "x": 8.0, "y": 2},
    ]


def test_without_it_there_are_events_alone(capsys: pytest.CaptureFixture[str]) -> None:
    plain = lines_of(capsys, chart=False)
    assert len(plain) == 5 and not [line for line in plain if "chart" in line]
