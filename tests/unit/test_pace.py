"""How long work will still take, from its events."""

from __future__ import annotations

import json

import pytest

from maquette.scene.events import LOG_PREFIX
from maquette.ui import printers
from maquette.ui.pace import Pace
from maquette.ui.printers import PlainPrinter


def progress(
    second: int, done: int, stage: str = "depthmaps", name: str = "photos"
) -> dict[str, object]:
    time = f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000Z"
    return {"time": time, "event": "progress", "stage": stage, "name": name, "done": done,
            "total": 80, "metrics": {}}  # fmt: skip


def test_the_pace_counts_from_where_this_run_began() -> None:
    pace = Pace()
    assert pace.left_s(progress(0, 16)) is None  # those were done before
    assert pace.left_s(progress(3, 18)) is None  # too early to tell
    assert pace.left_s(progress(40, 36)) == pytest.approx(88.0)
    assert pace.left_s(progress(60, 80)) == 0.0
    assert pace.left_s(progress(61, 0, "consistency")) is None


def test_another_count_beside_it_does_not_disturb_the_pace() -> None:
    pace = Pace()
    pace.left_s(progress(0, 0))
    pace.left_s(progress(39, 1, name="shards"))
    assert pace.left_s(progress(40, 20)) == pytest.approx(120.0)


def test_plain_lines_say_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(printers, "PLAIN_INTERVAL_S", -1.0)
    printer = PlainPrinter()
    for second, done in ((0, 0), (40, 20), (160, 80)):
        printer.line(LOG_PREFIX + json.dumps(progress(second, done)))
    assert capsys.readouterr().out.splitlines() == [
        "depthmaps: photos 0/80", "depthmaps: photos 20/80  2 min 00 s left",
        "depthmaps: photos 80/80",
    ]  # fmt: skip
