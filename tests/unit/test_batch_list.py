"""Lists of scenes: what they may hold, and what is told of what they may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maquette.batch.listing import read_list
from maquette.config.loading import MAKE_OVERRIDES
from maquette.config.settings import setting_names
from maquette.errors import ConfigError, NotFound


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*setting_names(), MAKE_OVERRIDES):
        monkeypatch.delenv(name, raising=False)


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lists" / "scenes.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_settings_of_a_line_are_above_the_defaults_and_below_what_was_typed(tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        "defaults: {PIPELINE: photogrammetry, FRAMES: 40, REFINE: true}\n"
        "scenes: [{MODEL: a, FRAMES: 50}, {MODEL: b, seed: 3}]",
    )
    first, second = read_list(path, ["SEED=7", "LIST=other", "JOBS=2"])
    assert (first.settings.options["frames"], second.settings.options["frames"]) == (50, 40)
    assert first.settings.options["refine"] is True
    assert (first.settings.options["seed"], second.settings.options["seed"]) == (7, 7)
    assert first.name == "a-photogrammetry"
    assert not any(word.startswith(("LIST=", "JOBS=")) for word in first.words)


def test_a_path_alone_is_an_input_and_names_the_scene(tmp_path: Path) -> None:
    path = listed(tmp_path, "- my shoe.mp4\n- s3://bucket/photos/\n- https://a.org/Löwe.zip\n")
    (path.parent / "my shoe.mp4").write_bytes(b"film")
    entries = read_list(path, [])
    assert [entry.settings.model for entry in entries] == ["my-shoe", "photos", "Lowe"]
    assert entries[0].settings.input == str(path.parent / "my shoe.mp4")
    assert entries[1].settings.input == "s3://bucket/photos/"


def test_names_like_numbers_stay_as_they_were_written(tmp_path: Path) -> None:
    path = listed(tmp_path, "- {MODEL: 007, INPUT: 0010}\n- 3_4\n")
    assert [entry.settings.model for entry in read_list(path, [])] == ["007", "3_4"]


def test_defaults_that_a_method_does_not_know_wait_for_one_that_does(tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        "defaults: {REFINE: 1}\nscenes: [{MODEL: a, PIPELINE: splat}, "
        "{MODEL: a, PIPELINE: photogrammetry}]",
    )
    splat, dense = read_list(path, [])
    assert "refine" not in splat.settings.options and dense.settings.options["refine"] is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the list is empty|`scenes:`"),
        ("scenes: []", "the list is empty"),
        ("scenes: [", "is no list of scenes"),
        ("scene: [a]", "`scenes:` and its list are missing"),
        ("{scenes: [a], default: {}}", "unknown: `default`"),
        ("{scenes: [a], defaults: {MODLE: x}}", "can not hold `MODLE`"),
        ("{scenes: [a], defaults: {MODEL: x}}", "can not hold `MODEL`"),
        ("scenes: [{PIPELINE: splat}]", "scene 1: neither MODEL nor INPUT"),
        ("scenes: [a, [b]]", "scene 2: .* is neither"),
        ("scenes: [a, a]", "scene 2: `a-neuralangelo` is already in the list"),
        ("scenes: [a, {MODEL: b, PIPELINE: spalt}]", "scene 2: .*nearest: `splat`"),
        ("scenes: [{MODEL: b, FRAMES: many}]", "scene 1: .*FRAMES=many"),
        ("scenes: [{MODEL: b, JOBS: 3}]", "scene 1: JOBS is the queue's"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_list(listed(tmp_path, text), [])
    assert re.search(told, f"{raised.value.what}\n{raised.value.detail}")


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no list of scenes"):
        read_list(tmp_path / "none.yaml", [])
