"""Numbers, names and times as a person reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from maquette.cli import jobs
from maquette.counting import counted
from maquette.jobs import document
from maquette.recon.frames import sources
from maquette.storage import error_responses
from maquette.ui import text


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 videos"), (1, "1 video"), (2, "2 videos"), (2700, "2,700 videos")]
)
def test_one_of_a_thing_is_no_plural(count: int, said: str) -> None:
    assert counted(count, "video") == said


def test_lists_of_numbers_and_of_names() -> None:
    names = [f"IMG_{number}.JPG" for number in range(7)]
    said = text.numbers({"center": [1.0, 2.5], "without_pose": names})
    assert said.startswith("center 1 × 2.5, without pose IMG_0.JPG, IMG_1.JPG, ")
    assert said.endswith("IMG_4.JPG, and 2 more")
    assert text.number(names[:2]) == "IMG_0.JPG, IMG_1.JPG"


def test_one_film_beside_photos_is_one_video(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "film.mp4").write_bytes(b"no film")
    (tmp_path / "notes.txt").write_text("of mine")
    assert sources.examine(tmp_path).remarks == (
        "1 video beside the photos: not used",
        "not used, neither photo nor video: 1 file: notes.txt",
    )


def row(state: str, **status: object) -> tuple[str, ...]:
    names = {"model": "shoe", "pipeline": "p", "step": "process", "group": "g"}
    return jobs._row({"id": "job", "maquette": names, "status": {"state": state, **status}})


def test_a_running_job_has_run_since_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = "2026-03-01T10:00:00.000Z"
    monkeypatch.setattr(document, "now", lambda: "2026-03-01T12:10:30.000Z")
    assert row("RUNNING", duration=0, startedAt=started)[5] == "2 h 10 min"
    assert row("DONE", duration=65, startedAt=started)[5] == "1 min 05 s"
    assert row("QUEUED", duration=0, startedAt=None)[5] == "0.0 s"


@pytest.mark.parametrize(("ahead_s", "said"), [(60, "1 minute ahead"), (-150, "2 minutes behind")])
def test_a_clock_that_is_a_minute_wrong(ahead_s: float, said: str) -> None:
    assert f"clock is {said}" in error_responses._skew(ahead_s)
