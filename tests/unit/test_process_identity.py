"""Processes and moments of this machine, told apart while the wall clock jumps."""

from __future__ import annotations

import os

import psutil
import pytest

from maquette.runners import process_identity
from maquette.runners.process_identity import age_s, find_process, identity, moment

TOMORROW = "2999-01-01T00:00:00.000Z"


def test_a_process_is_found_whatever_the_wall_clock_says() -> None:
    known = identity(psutil.Process())
    found = find_process({**known, "create_time": known["create_time"] + 3600})
    assert found is not None and found.pid == os.getpid()


def test_another_start_or_another_boot_is_another_process() -> None:
    known = identity(psutil.Process())
    assert find_process({**known, "start_ticks": known["start_ticks"] + 1}) is None
    assert find_process({**known, "boot_id": "another"}) is None
    assert find_process(None) is None


def test_without_the_kernels_ticks_the_time_of_creation_counts() -> None:
    now = psutil.Process().create_time()
    assert find_process({"pid": os.getpid(), "create_time": now}) is not None
    assert find_process({"pid": os.getpid(), "create_time": now - 3600}) is None


def test_the_age_of_a_moment_does_not_read_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    then = moment()
    assert 0 <= age_s(then, TOMORROW) < 60
    assert age_s({**then, "boot_id": "another"}, TOMORROW) < -3600
    assert age_s(None, "2001-01-01T00:00:00.000Z") > 3600
    monkeypatch.setattr(process_identity, "boot_id", str)
    assert age_s(then, TOMORROW) < -3600
