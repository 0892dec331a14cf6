"""What a push or pull shows while it is under way."""

from __future__ import annotations

import io
import json
import sys

import pytest

from maquette.storage.diffing import Difference, Kind
from maquette.storage.manifest import Snapshot
from maquette.storage.object_store import RemoteObject
from maquette.storage.planning import Plan, plan
from maquette.storage.syncing import Comparison
from maquette.storage.transfer import TransferProgress
from maquette.ui import transfers
from maquette.ui.transfers import TransferPrinter, progress


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(transfers, "time", clock)
    return clock


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(_pull_of(3, 1_000_000), Snapshot({}, "", True), ())


def _pull_of(count: int, size: int) -> Plan:
    there = [RemoteObject(size, "e" * 32, "e" * 32, 1) for _ in range(count)]
    found = [
        Difference(f"images/{number}.jpg", Kind.ONLY_THERE, None, remote, None, "")
        for number, remote in enumerate(there)
    ]
    return plan(found, "pull", delete=False, prefer="")


def _moved(size: int, files: int) -> TransferProgress:
    meter = TransferProgress()
    meter.add(size, files)
    return meter


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not a fixture: pytest replaces stdout again between a fixture and its test."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    return shown


def test_a_terminal_has_one_moving_line_that_is_gone_at_the_end(
    clock: Clock, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", "120")
    printer = TransferPrinter(as_json=False)
    clock.now += 2
    printer.show(comparison, _moved(1_000_000, 1))
    said = "pull: 1 MB of 3 MB, 1 of 3 files, 500 kB/s, 4.0 s left"
    assert terminal.getvalue() == f"\r\x1b[K{said}"
    printer.close()
    assert terminal.getvalue().endswith("\r\x1b[K") and "\n" not in terminal.getvalue()


def test_the_moving_line_never_wraps(
    clock: Clock, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What wraps into a second line is not cleared by the next one."""
    terminal = terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", "30")
    clock.now += 2
    TransferPrinter(as_json=False).show(comparison, _moved(1_000_000, 1))
    line = terminal.getvalue().removeprefix("\r\x1b[K")
    assert line.startswith("pull: 1 MB of 3 MB") and len(line) < 30


def test_elsewhere_there_is_a_plain_line_now_and_then(
    clock: Clock, comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = TransferPrinter(as_json=False)
    for _ in range(25):
        clock.now += 1
        printer.show(comparison, _moved(300_000, 0))
    printer.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "\x1b" not in "".join(lines)
    assert lines[0] == "pull: 300 kB of 3 MB, 0 of 3 files, 30 kB/s, 1 min 30 s left"


def test_a_short_transfer_says_nothing(
    clock: Clock, comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = TransferPrinter(as_json=False)
    clock.now += 5
    printer.show(comparison, _moved(3_000_000, 3))
    printer.close()
    assert capsys.readouterr().out == ""


def test_json_is_one_object_a_second(
    clock: Clock, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a terminal, where no control codes may come between."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    printer = TransferPrinter(as_json=True)
    for _ in range(9):
        clock.now += 0.5
        printer.show(comparison, _moved(1_500_000, 1))
    printer.close()
    events = [json.loads(line) for line in shown.getvalue().splitlines()]
    assert len(events) == 4
    assert events[0] == {
        "event": "progress", "direction": "pull", "bytes": 1_500_000, "bytes_total": 3_000_000,
        "files": 1, "files_total": 3, "rate_bytes_s": 1_500_000, "left_s": 1.0,
    }  # fmt: skip


def test_before_the_first_byte_no_time_is_promised() -> None:
    state = progress(_pull_of(2, 10), 0, 0, 0.0)
    assert state["left_s"] is None and state["rate_bytes_s"] == 0
    assert "left" not in transfers.sentence(state)
