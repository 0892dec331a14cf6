"""Work spread over processes: all is done, and no helper outlives the one that asked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from maquette.errors import BadInput, JobFailed
from maquette.recon import processes
from maquette.recon.processes import spread

ASKING = """
from maquette.recon.processes import spread
from test_processes import tell_and_wait

if __name__ == "__main__":
    list(spread(tell_and_wait, [1, 2], 2))
"""


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> int:
    raise BadInput(f"{number} is refused", hint="take another")


def be_killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def tell_and_wait(number: int) -> None:
    print("waiting", flush=True)
    signal.pause()


def test_every_task_is_done_by_helpers() -> None:
    assert sorted(spread(double, range(7), 3)) == [0, 2, 4, 6, 8, 10, 12]
    assert list(spread(double, [], 3)) == []
    assert multiprocessing.active_children() == []


def test_who_waits_for_a_long_task_is_called_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PAUSE_S", 0.001)
    calls: list[None] = []
    assert list(spread(double, [4], 1, lambda: calls.append(None))) == [8]
    assert calls  # a helper takes far longer to start than a pause
    assert list(spread(double, [], 1, lambda: calls.append(None))) == []


def test_an_error_of_a_task_is_that_of_the_whole() -> None:
    with pytest.raises(BadInput, match="4 is refused"):
        list(spread(fail, [4], 2))


def test_a_killed_helper_is_told() -> None:
    with pytest.raises(JobFailed, match="ended early"):
        list(spread(be_killed, [1, 2], 2))
    assert multiprocessing.active_children() == []


def test_helpers_end_when_no_more_is_wanted() -> None:
    with closing(spread(double, range(1000), 2)) as results:
        next(results)
        assert multiprocessing.active_children() != []
    assert multiprocessing.active_children() == []


def test_helpers_end_with_the_process_that_asked(tmp_path: Path) -> None:
    script = tmp_path / "asking.py"
    script.write_text(ASKING, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    asking = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    )
    with asking:
        assert asking.stdout is not None
        assert [asking.stdout.readline() for _ in range(2)] == ["waiting\n"] * 2
        asking.kill()
        assert asking.stdout.read() == ""  # it ends when the helpers, who hold it too, are gone
