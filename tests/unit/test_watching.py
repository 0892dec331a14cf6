"""Watching a job where nobody answers for a while: no line is lost, no job is told failed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maquette.errors import JobFailed, Unanswered
from maquette.runners import watching


class Shaky:
    """A backend whose log breaks off after so many lines, and which is away in between."""

    name = "shaky"

    def __init__(self, breaks: list[int]) -> None:
        self.breaks = breaks

    def logs(self, handle: dict, follow: bool) -> Iterator[str]:
        if not self.breaks:
            yield from ("one", "two", "three")
            return
        yield from ("one", "two", "three")[: self.breaks.pop(0)]
        raise Unanswered("no service answers")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(watching, "LONGEST_PAUSE_S", 0.002)


@pytest.mark.parametrize("breaks", [[], [2], [0, 0, 0], [1, 0, 3, 2]])
def test_each_line_comes_once_however_often_the_way_breaks(
    breaks: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    had_gaps = bool(breaks)
    assert [*watching.watched_lines(Shaky(breaks), {})] == ["one", "two", "three"]
    said = capsys.readouterr().err
    assert ("answers come again" in said) == had_gaps


def test_a_question_is_asked_until_it_is_answered() -> None:
    answers: list[object] = [Unanswered("away"), Unanswered("away"), "RUNNING"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert watching.patiently(ask) == "RUNNING"
    with pytest.raises(JobFailed, match="for good"):  # another failure is no gap
        watching.patiently(lambda: (_ for _ in ()).throw(JobFailed("for good")))


def test_patience_ends_without_a_word_of_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 0.0)
    with pytest.raises(Unanswered, match="how the job is, is not known: no service") as caught:
        [*watching.watched_lines(Shaky([0] * 50), {})]
    assert "goes on without this terminal" in caught.value.hint
