"""What a machine keeps of scenes is removed once no shard has used it for long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from maquette.agent import kept_scenes

DAY_S = 24 * 3600.0


def keep(place: Path, days: float) -> Path:
    """Make a place that was last used some days ago."""
    (place / "known" / "images" / "used").mkdir(parents=True)
    (place / "known" / "images" / "used" / "1.jpg").write_bytes(b"photo")
    (place / "work").mkdir()
    (place / "used").touch()
    then = time.time() - days * DAY_S
    os.utime(place / "used", (then, then))
    return place


def test_what_was_not_used_for_two_weeks_goes(tmp_path: Path) -> None:
    old, recent = keep(tmp_path / "b" / "old", 15), keep(tmp_path / "b" / "deep" / "recent", 13)
    inner = keep(old / "inner", 1)
    with kept_scenes.in_use(tmp_path, tmp_path / "b" / "mine"):
        assert not (old / "known").exists() and not (old / "used").exists()
        for place in (recent, inner):
            assert (place / "known" / "images" / "used" / "1.jpg").exists()


def test_what_is_in_use_stays_however_old(tmp_path: Path) -> None:
    place = keep(tmp_path / "b" / "mine", 15)
    with kept_scenes.in_use(tmp_path, place):
        then = time.time() - 15 * DAY_S
        os.utime(place / "used", (then, then))
        with kept_scenes.in_use(tmp_path, tmp_path / "b" / "other"):
            assert (place / "known").exists()
    with kept_scenes.in_use(tmp_path, tmp_path / "b" / "other"):
        assert not place.exists()


def test_a_place_that_is_used_again_counts_from_then(tmp_path: Path) -> None:
    place = keep(tmp_path / "mine", 15)
    for _ in range(2):
        with kept_scenes.in_use(tmp_path, place):
            assert (place / "known").exists()


def test_a_place_that_is_removed_while_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, lock = keep(tmp_path / "mine", 15), kept_scenes.fcntl.flock

    def first_removed(handle: int, how: int) -> None:
        monkeypatch.setattr(kept_scenes.fcntl, "flock", lock)
        kept_scenes._sweep(tmp_path, time.time() - DAY_S)
        lock(handle, how)

    monkeypatch.setattr(kept_scenes.fcntl, "flock", first_removed)
    with kept_scenes.in_use(tmp_path, place):
        assert (place / "used").exists() and not (place / "known").exists()
