"""How a program of the data plane ends."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from maquette.errors import BadInput, ExitCode
from maquette.recon.programs import exit_code
from maquette.scene.events import Progress


def fails(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (BadInput("it is cut off"), ExitCode.BAD_INPUT, "it is cut off"),
        (OSError(28, "No space left on device", "a file"), ExitCode.JOB_FAILED, "no space left"),
        (ModuleNotFoundError("lacking", name="scipy"), ExitCode.CONFIG, "a report needs the part"),
    ],
)
def test_what_failed_is_told_and_becomes_the_exit_code(
    error: Exception, code: int, told: str
) -> None:
    log = io.StringIO()
    assert exit_code(Progress(log=log), "a report", "writing", fails(error)) == code
    assert told in log.getvalue()


def test_without_a_failure_it_is_0_and_a_bug_stays_one() -> None:
    assert exit_code(Progress(log=io.StringIO()), "a report", "writing", lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        exit_code(Progress(log=io.StringIO()), "a report", "writing", lambda: 1 / 0)
