"""Progress as lines of a chart."""

from __future__ import annotations

import json

import pytest

from maquette.cli.run import run
from maquette.errors import UsageError
from maquette.scene.events import LOG_PREFIX
from maquette.ui.printers import choose_printer

AXIS = {"chart": "progress", "axis": "time (seconds)"}


def event(second: float, kind: str, **fields: object) -> dict[str, object]:
    return {"time": f"2026-01-01T00:00:{second:06.3f}Z", "event": kind, "stage": "a", **fields}


STEP = [
    event(1, "step", stages=["a", "b"]), event(1, "skipped", numbers={}, wall_s=9.0),
    event(2.5, "started"), event(3, "progress", name="x", done=1, total=2, metrics={}),
    event(14.25, "finished", numbers={}, wall_s=11.75),
]  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], chart: bool) -> list[dict[str, object]]:
    printer = choose_printer(as_json=True, chart=chart)
    for number, told in enumerate(STEP):
        printer.line(LOG_PREFIX + json.dumps(told))
        printer.line(f"what a program wrote {number}")
    printer.close()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_chart_shows_the_stages_done_over_the_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, chart=True)
    assert [line for line in lines if "chart" not in line] == STEP
    points = [(0, 0), (0, 1), (1.5, 1), (13.25, 2)]
    drawn = [{"chart": "progress", "x": x, "y": y} for x, y in points]
    assert [line for line in lines if "chart" in line] == [AXIS, *drawn]


def test_without_it_json_is_events_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, chart=False) == STEP


def test_a_chart_without_json_is_refused() -> None:
    with pytest.raises(UsageError, match="--json, which is not given") as caught:
        run("extract", chart=True)
    assert "run extract --json --chart" in caught.value.hint
