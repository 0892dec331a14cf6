"""Hints name a command whole: typed as they stand, they mean the scene that failed."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from maquette.cli import arguments, data_plane
from maquette.config.settings import Settings
from maquette.errors import NotFound
from maquette.pipelines.commands import completed, names_of_scene
from maquette.pipelines.registry import get_pipeline
from maquette.recon import stopping
from maquette.recon.mvs import meshroom_files
from maquette.recon.step import main
from maquette.resources import PACKAGE
from maquette.scene.events import Progress, parse_log_line
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage

SPLAT = names_of_scene("splat", "owl", "fine")


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("run `make extract`!", "run `make extract PIPELINE=splat MODEL=owl GROUP=fine`!"),
        ("`make prepare`", "`make prepare MODEL=owl GROUP=fine`"),
        ("`make extract-logs`", "`make extract-logs PIPELINE=splat MODEL=owl GROUP=fine`"),
        ("`make process ITERATIONS=…`",
         "`make process PIPELINE=splat MODEL=owl GROUP=fine ITERATIONS=…`"),
        ("`make process PIPELINE=photogrammetry`",
         "`make process MODEL=owl GROUP=fine PIPELINE=photogrammetry`"),
        ("`maquette region fit --points-inside 0.98`",
         "`maquette region fit PIPELINE=splat MODEL=owl GROUP=fine --points-inside 0.98`"),
        ("`make view` and `make adjust MODEL=fox`",
         "`make view PIPELINE=splat MODEL=owl GROUP=fine` and `make adjust MODEL=fox`"),
        ("`make prepare MODEL=owl INPUT=…`", "`make prepare MODEL=owl INPUT=…`"),
        ("`make images` builds ours, `make help`, make view", None),
        ("`make extraction`, `makes process`", None),
    ],
)  # fmt: skip
def test_a_command_gets_what_it_lacks(said: str, whole: str | None) -> None:
    assert completed(said, SPLAT) == (whole or said)
    assert completed(whole or said, SPLAT) == (whole or said), "and only once"


def test_meshrooms_hint_names_its_own_log(tmp_path: Path) -> None:
    name = get_pipeline("photogrammetry").name
    with pytest.raises(NotFound) as caught:
        meshroom_files._of_last_run(tmp_path, "*.obj")
    hint = completed(caught.value.hint, names_of_scene(name, "owl", ""))
    assert "`make extract-logs PIPELINE=photogrammetry MODEL=owl`" in hint


def test_what_a_step_says_and_remarks_is_whole(tmp_path: Path) -> None:
    scene, log = Scene(tmp_path / "owl", "splat"), io.StringIO()
    scene.stages.mkdir(parents=True)
    progress = Progress(None, log, complete=lambda said: completed(said, SPLAT))

    def run(scene: Scene, options: object, progress: Progress) -> Report:
        progress.warn("look: `make adjust`")
        return Report([], remarks=["then `make process` again"])

    stages = [Stage("look", 1, run)]
    options = get_pipeline("splat").steps["process"].options()
    [record] = run_stages(stages, "process", scene, options, progress)
    assert record.remarks == ["then `make process PIPELINE=splat MODEL=owl GROUP=fine` again"]
    assert "`make adjust PIPELINE=splat MODEL=owl GROUP=fine`" in log.getvalue()


def test_a_steps_error_names_its_scene_and_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "install", lambda: None)  # signals stay the tests' own
    options = tmp_path / "options.json"
    options.write_text(json.dumps({"group": "fine"}))
    words = ["photogrammetry", "process", "--scene", str(tmp_path / "owl")]
    assert main([*words, "--options", str(options)]) == 13
    assert "`make prepare MODEL=owl GROUP=fine` makes it" in capsys.readouterr().out


def test_a_commands_error_names_the_scene_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "_loaded", [])
    assert arguments.complete("`make process`") == "`make process`"
    settings = Settings(pipeline="splat", model="owl", backend="docker", base_dir=tmp_path)
    monkeypatch.setattr(arguments, "_loaded", [settings])
    which = f"PIPELINE=splat MODEL=owl BASE_DIR={tmp_path}"
    assert arguments.complete("`make process`") == f"`make process {which} BACKEND=docker`"
    assert arguments.complete("`make view`") == f"`make view {which}`"


def test_what_a_program_beside_a_command_says_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(pipeline="splat", model="owl", base_dir=tmp_path)
    monkeypatch.setattr(arguments, "_loaded", [settings])
    log = io.StringIO()
    Progress(None, log).warn('look at "a": `make view`')
    event = parse_log_line(data_plane._completed(log.getvalue().strip()))
    assert event is not None
    assert event["text"] == f'look at "a": `make view PIPELINE=splat MODEL=owl BASE_DIR={tmp_path}`'
    assert data_plane._completed("`make view`, from somebody else") == (
        "`make view`, from somebody else"
    )


def test_every_command_in_a_sentence_stands_between_backquotes() -> None:
    """What stands there is found and made whole."""
    bare = re.compile(r"(?<!`)\bmake (?:prepare|process|extract)\b(?! MODEL)")
    found = [(file.name, text) for file, text in sentences(bare) if bare.search(text)]
    assert [one for one in found if one not in ALLOWED] == []


# What is no hint of a failure: a page of help, and a line that a person types as it stands.
ALLOWED: list[tuple[str, str]] = [
    ("commands.py", "  make process BACKEND=ovh MODEL=…"),
]


def sentences(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    """Every text in the package that is no docstring, of files that hold a pattern at all."""
    for file in sorted(PACKAGE.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if not pattern.search(source):
            continue
        tree = ast.parse(source)
        notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
        for node in texts:
            if isinstance(node.value, str) and id(node) not in notes:
                yield file, node.value
