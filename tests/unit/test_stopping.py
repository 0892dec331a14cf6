"""A request to stop ends the work once, wherever it is, and is not lost."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from maquette.errors import Interrupted
from maquette.recon import stopping


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stopping, "_state", stopping._State())
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stopping.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work_and_its_repetition_does_not_disturb_the_end(number: int) -> None:
    tidied = False
    with pytest.raises(Interrupted, match="stopped on request"):
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            tidied = True
    assert tidied and stopping.stop_requested()


def test_a_stop_that_was_swallowed_is_found_by_the_next_check() -> None:
    with contextlib.suppress(Exception):  # as some libraries do
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        stopping.check()


def test_what_is_deferred_ends_when_it_saved() -> None:
    with stopping.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        stopping.check()
        assert stopping.stop_requested()
    with pytest.raises(Interrupted):
        stopping.check()
