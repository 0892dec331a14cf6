"""A machine that is taken away after some hours is left before it is."""

from __future__ import annotations

import threading

import pytest

from maquette.cli import whole
from maquette.config.settings import Settings
from maquette.errors import Interrupted
from maquette.runners import host_limit, process_identity
from maquette.runners.host_limit import MARGIN_S, HostLimit

HOUR_S = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A machine up for 10 hours, whose container began at 4."""
    times = {"now": 10 * HOUR_S, "began": 4 * HOUR_S}
    monkeypatch.setattr(process_identity, "uptime_s", lambda: times["now"])
    monkeypatch.setattr(process_identity, "started_s", lambda pid: times["began"])
    return times


def test_time_runs_from_the_start_of_machine_or_container(clock: dict[str, float]) -> None:
    limit = HostLimit(12)
    assert limit.left_s == 6 * HOUR_S - MARGIN_S and not limit.is_up
    clock["now"] += 6 * HOUR_S - MARGIN_S
    assert limit.is_up


def test_on_a_machine_that_is_older_than_the_limit_time_runs_from_now(
    clock: dict[str, float],
) -> None:
    assert HostLimit(5).left_s == 5 * HOUR_S - MARGIN_S


def test_without_a_limit_it_is_never_time(clock: dict[str, float]) -> None:
    limit = HostLimit(0)
    clock["now"] += 1e6 * HOUR_S
    assert not limit.is_up


def test_whoever_works_is_called_once_time_is_up_and_again(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_limit, "_POLL_S", 0.01)
    limit, calls, twice = HostLimit(12), [], threading.Event()

    def leave() -> None:
        calls.append(limit.is_up)
        if len(calls) == 2:
            twice.set()

    clock["now"] += 6 * HOUR_S
    with limit.calling(leave):
        assert twice.wait(120)
    assert all(calls)


def test_nobody_is_called_before(clock: dict[str, float]) -> None:
    calls: list[int] = []
    with HostLimit(12).calling(lambda: calls.append(1)):
        pass
    assert not calls


def test_a_job_of_this_machine_is_saved_and_the_command_says_so(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()

    def work(step: str, settings: Settings, after: str) -> tuple[str, Settings]:
        clock["now"] += 6 * HOUR_S
        assert stopped.wait(120)
        raise Interrupted("the job was stopped and saved")

    monkeypatch.setattr(whole, "_complete", work)
    monkeypatch.setattr(whole, "_save_and_stop", lambda step, settings: stopped.set())
    limit = HostLimit(12)
    monkeypatch.setattr(host_limit, "_POLL_S", 0.01)
    with pytest.raises(Interrupted, match=r"left process of owl, which is saved: .* 12 hours"):
        whole._complete_in_time("process", Settings(), "", limit)


def test_nothing_begins_when_no_time_is_left(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_complete", lambda *_: pytest.fail("it began"))
    limit = HostLimit(12)
    clock["now"] += 6 * HOUR_S
    with pytest.raises(Interrupted, match="left process of owl, which goes on"):
        whole._complete_in_time("process", Settings(backend="ovh"), "", limit)


def test_an_interruption_by_hand_is_told_as_one(
    clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(step: str, settings: Settings, after: str) -> tuple[str, Settings]:
        raise Interrupted("by hand")

    monkeypatch.setattr(whole, "_complete", work)
    with pytest.raises(Interrupted, match="by hand"):
        whole._complete_in_time("process", Settings(), "", HostLimit(12))
